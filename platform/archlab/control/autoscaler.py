"""Scales pools on requests under way: reads the servers' own metrics, sets the Deployments' `scale`.

For clusters that have no adapter for custom metrics: a HorizontalPodAutoscaler can read such a signal only through
one, and a cluster has room for one adapter. It runs on clusters only; what it did is kept in `control/scaling.json`.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from archlab.addresses import on_cluster
from archlab.control import metrics
from archlab.control.autoscaling import Busy, Stabilizer, busy_seconds, concurrency, recommend
from archlab.control.desired import Desired
from archlab.errors import ArchlabError
from archlab.files import write_atomic
from archlab.incluster import Deployments
from archlab.plan.tenants import ceiling, in_words, most_replicas
from archlab.settings import LabFolder
from archlab.spec.autoscaling import Scaling, ScalingEvent, Signal
from archlab.spec.plan import Plan, Unit

BY = "archlab control"
KEPT_EVENTS = 20
MILLI = 1000
_log = logging.getLogger(__name__)


class Scale(Protocol):
    """The `scale` subresource of Deployments."""

    def replicas(self, name: str, team: str) -> int:
        """That are wanted now."""

    def set_replicas(self, name: str, team: str, count: int) -> None:
        """Want so many."""


@dataclass(slots=True)
class Pool:
    """What is known of one pool."""

    busy: Busy = field(default_factory=dict)
    read_s: float = 0.0
    stabilizer: Stabilizer = field(default_factory=Stabilizer)
    value: float | None = None
    replicas: int = 0
    said: str = ""


@dataclass(slots=True)
class Autoscaler:
    """One lab's."""

    folder: LabFolder
    desired: Desired
    scale: Scale = field(default_factory=Deployments)
    _pools: dict[str, Pool] = field(default_factory=dict)

    def run(self) -> None:
        """One round over the pools that the plan scales on concurrency.

        Raises:
            ArchlabError: the lab has no plan yet, or the cluster does not answer.
        """
        if not on_cluster():
            return
        units = _scaled(self.desired.plan)
        self._pools = {name: pool for name, pool in self._pools.items() if name in units}
        if units:
            readings = self._read(self.desired.plan.model_copy(update={"units": tuple(units.values())}))
            for unit in units.values():
                most = most_replicas(self.desired.plan, unit)
                self._follow(unit, readings.get(unit.name, {}), time.monotonic(), most)

    def state(self) -> list[Scaling]:
        """Every pool that is scaled here, and what was done last."""
        events = self._events()
        plan = self.desired.plan
        return [
            _state(unit, pool, ceiling(plan, unit), tuple(e for e in events if e.unit == name))
            for name, unit in _scaled(plan).items()
            if (pool := self._pools.get(name))
        ]

    def _read(self, plan: Plan) -> dict[str, dict[str, float]]:
        """Per unit and pod that answers."""
        found: dict[str, dict[str, float]] = {}
        for labels, text in metrics.scrape(self.folder, plan):
            if "archlab_server_info" in text:  # it answered
                found.setdefault(labels["unit"], {})[labels["replica"]] = busy_seconds(text)
        return found

    def _follow(self, unit: Unit, busy: Mapping[str, float], now_s: float, most: int | None = None) -> None:
        pool = self._pools.setdefault(unit.name, Pool())
        before, since_s, pool.busy, pool.read_s = pool.busy, pool.read_s, busy, now_s
        try:
            pool.replicas = self.scale.replicas(unit.name, unit.team)
            if before and busy:
                pool.value, pool.said = concurrency(before, busy, now_s - since_s), ""
                self._decide(unit, pool, len(busy), most)
        except (OSError, ArchlabError) as error:
            said = error.message if isinstance(error, ArchlabError) else str(error)
            if pool.said != said:
                _log.warning("%s is not scaled: %s", unit.name, error)
            pool.said = said

    def _decide(self, unit: Unit, pool: Pool, pods: int, most: int | None) -> None:
        assert pool.value is not None
        assert unit.autoscaling is not None
        top = min(unit.autoscaling.max_replicas, unit.autoscaling.max_replicas if most is None else most)
        settings = unit.autoscaling.model_copy(update={"max_replicas": top})
        target = settings.target_milli / MILLI
        wanted = recommend(pods, pool.value, target)
        decided = pool.stabilizer.decide(pool.read_s, pool.replicas, wanted, unit.replicas, settings)
        if wanted > top:
            bound = in_words(unit, top) if top == most else f"at most {top} are allowed"
            pool.said = f"{wanted} replicas would be needed; {bound}"
        if decided == pool.replicas:
            return
        why = f"{pool.value:.2f} requests under way per pod, target {target:g}"
        self.scale.set_replicas(unit.name, unit.team, decided)
        _log.info("%s from %d to %d replicas: %s", unit.name, pool.replicas, decided, why)
        pool.replicas = decided
        self._keep(ScalingEvent(at=datetime.now(UTC), unit=unit.name, replicas=decided, why=why))

    @property
    def _file(self) -> Path:
        return self.folder.control_db.with_name("scaling.json")

    def _events(self) -> list[ScalingEvent]:
        try:
            return [ScalingEvent.model_validate(entry) for entry in json.loads(self._file.read_text())]
        except (OSError, ValueError):
            return []

    def _keep(self, event: ScalingEvent) -> None:
        kept = [*self._events(), event][-KEPT_EVENTS:]
        write_atomic(self._file, json.dumps([entry.model_dump(mode="json") for entry in kept]))


def _scaled(plan: Plan) -> dict[str, Unit]:
    wanted = (u for u in plan.units if u.autoscaling and u.autoscaling.signal is Signal.CONCURRENCY)
    return {unit.name: unit for unit in wanted}


def _state(unit: Unit, pool: Pool, ceiling: int, events: tuple[ScalingEvent, ...]) -> Scaling:
    assert unit.autoscaling is not None
    return Scaling(
        unit=unit.name,
        by=BY,
        signal=Signal.CONCURRENCY,
        target_milli=unit.autoscaling.target_milli,
        value_milli=None if pool.value is None else round(MILLI * pool.value),
        replicas=pool.replicas,
        min_replicas=unit.replicas,
        max_replicas=ceiling,
        said=pool.said,
        events=events,
    )
