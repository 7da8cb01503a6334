"""A small business with two models, replayed by `python -m tiny_world UNTIL` on the lab that ARCHLAB_LAB names.

Content only: clock, callers, gateway, servers, control and registry are the real ones. It materialises
(`tiny_materialize`) and scores ahead (`tiny_batch`) without Feast and without waiting for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop

from archlab import jobs
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.airline import Label
from archlab.spec.business import Ask, Business, ModelCard
from archlab.spec.callers import Caller
from archlab.spec.plan import Plan, Role
from archlab.spec.release import Column
from archlab.spec.scenario import FeatureSchedule, Mode, Overrides, Scenario
from archlab.world.replay import Setting, replay

ONLINE, AHEAD = "flight-time", "departure-delay"
START = datetime(2013, 12, 2, 8, tzinfo=UTC)
EVERY = timedelta(minutes=2)
HOUR = timedelta(hours=1)


def scenario() -> Scenario:
    """Two models, one online and one from hourly runs."""
    full = load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")
    hourly = {"mode": Mode.BATCH, "batch_every": HOUR}
    return full.model_copy(
        update={
            "models": (full.model(ONLINE), full.model(AHEAD).model_copy(update=hourly)),
            "pools": tuple(pool for pool in full.pools if pool.name != "bento"),
            "grants": (),
            "features": (
                FeatureSchedule(view="route_daily", every=timedelta(days=1), cpu_millicore_seconds=100),
                FeatureSchedule(view="weather", every=HOUR, cpu_millicore_seconds=10),
            ),
        }
    )


def plan(lab: str) -> Plan:
    """Without the registry, which the tests bring."""
    found = layout(lab, scenario(), 1, Overrides())
    return found.model_copy(update={"units": tuple(unit for unit in found.units if unit.role is not Role.REGISTRY)})


def _card(name: str, columns: tuple[Column, ...], keys: tuple[str, ...]) -> ModelCard:
    return ModelCard(
        name=name,
        title=name,
        target="t",
        algorithm="linear",
        kind="estimate",
        feature_service=name.replace("-", "_"),
        columns=columns,
        keys=keys,
        table_keys=("flight",),
        metric="mae",
        higher_is_better=False,
        baseline="a constant",
    )


class Tiny:
    """A flight every two minutes; its air time is known an hour after it was asked for."""

    cards: Mapping[str, ModelCard] = {
        ONLINE: _card(
            ONLINE,
            (
                Column(name="distance", source="request"),
                Column(name="wind", source="weather"),
                Column(name="air_time", source="route_daily"),
            ),
            ("route", "origin", "flight"),
        ),
        AHEAD: _card(AHEAD, (Column(name="distance", source="request"),), ("flight",)),
    }

    def asks(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Ask]:
        """See `Business`."""
        return [_ask(model, n) for n in _flights(start, end)]

    def labels(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Label]:
        """See `Business`."""
        return [
            Label(
                model=model,
                subject=f"F{n}",
                asked=_moment(n),
                known=_moment(n) + HOUR,
                actual=100.0 + n % 7,
                baseline=100.0,
            )
            for n in _flights(start - HOUR, end - HOUR)
        ]

    def batch_asks(self, data: Path, model: str, caller: Caller, when: datetime) -> Sequence[Ask]:
        """See `Business`."""
        return self.asks(data, model, caller, when, when + timedelta(days=1))


def _flights(start: datetime, end: datetime) -> range:
    return range((start - START) // EVERY + 1, (end - START) // EVERY + 1)


def _moment(number: int) -> datetime:
    return START + number * EVERY


def _ask(model: str, number: int) -> Ask:
    where = {"route": f"R{number % 5}", "origin": "JFK"} if model == ONLINE else {}
    return Ask(
        subject=f"F{number}",
        asked=_moment(number),
        keys={"flight": f"F{number}", **where},
        columns={"distance": float(number % 7)},
    )


BUSINESS: Business = Tiny()


def setting(folder: LabFolder) -> Setting:
    """What a replay of the tiny world goes by."""
    return Setting(
        folder=folder,
        scenario=scenario(),
        declared=scenario(),
        plan=plan(folder.name),
        business=BUSINESS,
        data=folder.root,
        gateway=(folder.root / "gateway.url").read_text(),
        materializer="tiny_materialize",
        batch="tiny_batch",
    )


if __name__ == "__main__":
    jobs.main(
        lambda arguments: uvloop.run(
            replay(setting(LabFolder.from_environment()), datetime.fromisoformat(arguments[0]))
        )
    )
