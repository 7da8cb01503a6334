"""Evidence without a lab: the same spec types, with the figures that a test chooses. Demand is that of a usual day."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path

from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import override, resolve
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.business import ModelCard
from archlab.spec.callers import ClassificationValue
from archlab.spec.devices import NodeSupport
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.money import Resource
from archlab.spec.outages import Outage, Probe
from archlab.spec.policy import Decision, DecisionRecord, PolicyResource, Query, Reason, Subject
from archlab.spec.release import Column, Release, ReleaseKind
from archlab.spec.scenario import Mode, Model, ModelOverride, Overrides, Scenario
from archlab_scenarios.airline.cards import CARDS

DAY = timedelta(days=1)
ZERO = "0" * 64
ASKED = {
    "departure-delay": 978,
    "missed-connection": 978,
    "cancellation-risk": 978,
    "arrival-delay": 974,
    "flight-time": 978,
    "delay-recovery": 60,
    "airport-congestion": 114,
    "route-segments": 193,
    "aircraft-reliability": 700,
    "block-time-buffer": 950,
}
"""Replayed requests of a usual day, as the flights of November 2013 give them."""

RIGHT = Fraction(7, 10)
"""Share of right answers, unless a test says otherwise."""


def ten_models() -> Path:
    """Folder of the scenario."""
    return scenario_folder("ten-models")


@cache
def declared() -> Scenario:
    """scenario.yaml, read once."""
    return load_scenario(ten_models() / "scenario.yaml")


@dataclass(frozen=True)
class World:
    """A lab as a test wants it."""

    seed: int = 1
    modes: Mapping[str, Mode] = field(default_factory=dict)
    batch_every: Mapping[str, timedelta] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, float | int | str] = field(default_factory=dict)
    """Variations to set instead of what the seed chooses."""
    right: Mapping[str, Fraction] = field(default_factory=dict)
    stale: Mapping[str, int] = field(default_factory=dict)

    @property
    def overrides(self) -> Overrides:
        """The learner's changes."""
        names = {*self.modes, *self.batch_every, *self.replicas}
        return Overrides(
            models={
                n: ModelOverride(
                    mode=self.modes.get(n), batch_every=self.batch_every.get(n), replicas=self.replicas.get(n)
                )
                for n in sorted(names)
            }
        )

    @property
    def scenario(self) -> Scenario:
        """As resolved and overridden."""
        fixed = tuple(
            v.model_copy(update={"choices": (self.choices[v.name],) * 2}) if v.name in self.choices else v
            for v in declared().variations
        )
        resolved, _ = resolve(declared().model_copy(update={"variations": fixed}), self.seed)
        return override(resolved, self.overrides)

    def day(self, number: int) -> Scoreboard:
        """The scoreboard of one business day."""
        scenario = self.scenario
        models = tuple(self._score(scenario, m) for m in scenario.models)
        shared = int(scenario.platform_millicores * 86_400 * _price(scenario, Resource.PLATFORM_CPU))
        value = sum(m.value_nanousd for m in models)
        cost = shared + sum(m.used_nanousd + m.idle_nanousd for m in models)
        return Scoreboard(
            since=scenario.starts + number * DAY,
            until=scenario.starts + (number + 1) * DAY,
            models=models,
            shared_nanousd=shared,
            value_nanousd=value,
            cost_nanousd=cost,
            net_nanousd=value - cost,
        )

    def evidence(
        self,
        days: Sequence[Scoreboard] | None = None,
        versions: Sequence[VersionFacts] = (),
        releases: Sequence[Release] = (),
        decisions: Sequence[DecisionRecord] = (),
    ) -> Evidence:
        """A picture of the lab after some days; one, by default, with this world's design."""
        boards = tuple([self.day(0)] if days is None else days)
        scenario = self.scenario
        now = boards[-1].until if boards else scenario.starts
        _, variant = resolve(declared(), self.seed)
        return Evidence(
            lab="synthetic",
            taken=now,
            code_version="0",
            scenario=scenario,
            variant=variant.model_copy(update={"chosen": {**variant.chosen, **self.choices}}),
            overrides=self.overrides,
            plan=layout("synthetic", scenario, self.seed, self.overrides),
            prices=scenario.prices,
            clock=now,
            scoreboard=boards[-1] if boards else _nothing(scenario),
            daily=boards,
            lines=(),
            versions=tuple(versions),
            releases=tuple(releases),
            decisions=tuple(decisions),
            batch_runs=(),
        )

    def _score(self, scenario: Scenario, model: Model) -> ModelScore:
        requests = ASKED[model.name]
        stale = self.stale.get(model.name, 0)
        good, late = _worth(model, self.right.get(model.name, RIGHT)), model.caller.value.late
        value = int((good * (requests - stale) + late * stale) * model.caller.represents)
        used, idle = _cost(scenario, model, requests)
        return ModelScore(
            model=model.name,
            mode=model.mode.value,
            requests=requests,
            on_time=requests - stale,
            late=0,
            stale=stale,
            missing=0,
            limited=0,
            labelled=requests,
            metric="auc",
            quality=0.77,
            baseline=0.65,
            higher_is_better=True,
            p99_ms=12.0,
            value_nanousd=value,
            used_nanousd=used,
            idle_nanousd=idle,
            net_nanousd=value - used - idle,
        )


def _nothing(scenario: Scenario) -> Scoreboard:
    return Scoreboard(
        since=scenario.starts,
        until=scenario.starts,
        models=(),
        shared_nanousd=0,
        value_nanousd=0,
        cost_nanousd=0,
        net_nanousd=0,
    )


def _price(scenario: Scenario, resource: Resource) -> Fraction:
    price = scenario.prices.at(resource, scenario.starts)
    return Fraction(price.nanousd, price.per)


def _worth(model: Model, right: Fraction) -> Fraction:
    value = model.caller.value
    if isinstance(value, ClassificationValue):
        # a fifth of the subjects are positive
        hit, miss = right, 1 - right
        positive = hit * value.true_positive + miss * value.false_negative
        return positive / 5 + (hit * value.true_negative + miss * value.false_positive) * Fraction(4, 5)
    return right * value.right + (1 - right) * value.wrong


def _cost(scenario: Scenario, model: Model, requests: int) -> tuple[int, int]:
    if model.mode is Mode.ONLINE:
        reserved = model.replicas * model.cpu_millicores * 86_400 * _price(scenario, Resource.ONLINE_CPU)
        used = reserved / 1000
        return int(used), int(reserved - used)
    runs = DAY // model.batch_every
    batch = runs * model.batch_cpu_millicore_seconds * _price(scenario, Resource.BATCH_CPU)
    return int(batch + requests * model.caller.represents * _price(scenario, Resource.LOOKUP)), 0


def version(number: int, *, extra: Sequence[str] = (), champion: bool = False, auc: float = 0.778) -> VersionFacts:
    """A registered version of missed-connection; `extra` columns are asked of callers beyond the usual ones."""
    columns = [Column(name=n, source="request") for n in ("hour", "distance", *extra)]
    columns.append(Column(name="late_2h", source="origin_ops"))
    return VersionFacts(
        model="missed-connection",
        version=str(number),
        aliases=("champion",) if champion else (),
        author="trainer",
        approved_by="approver",
        metrics={"auc": auc},
        tags={"archlab.columns": json.dumps([c.model_dump() for c in columns])},
    )


def decision(
    sequence: int, number: int, when: datetime, *, allow: bool, bundle: str = "bundle-1", rule: str = ""
) -> DecisionRecord:
    """The gate's answer to making a version of missed-connection champion."""
    reasons = (Reason(rule=rule, code="refused", message="no"),) if not allow else ()
    return DecisionRecord(
        sequence=sequence,
        id=f"d{sequence}",
        wall_time=when,
        business_time=when,
        query=Query(
            subject=Subject(user="learner", team="platform", roles=("developer",)),
            action="promotion/champion",
            resource=PolicyResource(
                kind="model_version", name="missed-connection", version=str(number), digest=f"x{number}"
            ),
            evidence={},
            time=when,
        ),
        query_sha256=ZERO,
        decision=Decision(allow=allow, reasons=reasons, engine="embedded", bundle_digest=bundle),
        previous=ZERO,
        hash=ZERO,
    )


def release(number: int, when: datetime) -> Release:
    """The champion of missed-connection that servers are told to load."""
    return Release(
        id=f"missed-connection:{number}",
        model="missed-connection",
        version=str(number),
        team="customer-care",
        kind=ReleaseKind.ONNX,
        pool="online",
        sha256=ZERO,
        path=f"blobs/{ZERO}",
        size_bytes=1,
        decision_id="d1",
        decision_sha256=ZERO,
        source_sha256=ZERO,
        columns=(),
        keys=(),
        created=when,
        signature="",
    )


def champions() -> list[VersionFacts]:
    """Version 1 of every model as champion, with the columns of its card and node support as its kind would have."""
    return [_champion(card) for card in CARDS.values()]


def _champion(card: ModelCard) -> VersionFacts:
    flops = 5_000 if card.gains_from_device else 400
    support = NodeSupport(
        nodes=9,
        supported_nodes=9 if card.gains_from_device else 3,
        flops=flops,
        supported_flops=flops if card.gains_from_device else 0,
    )
    return VersionFacts(
        model=card.name,
        version="1",
        aliases=("champion",),
        author="trainer",
        approved_by="approver",
        metrics={},
        tags={
            "archlab.columns": json.dumps([c.model_dump() for c in card.columns]),
            "archlab.device_support": support.model_dump_json(),
        },
    )


WENT_ON = {
    "control": ("answers-computed", "answers-looked-up", "registry-read"),
    "registry": ("answers-computed", "answers-looked-up", "decision-log", "clock"),
}
"""What worked in real labs while a unit was down."""

TRIED = ("answers-computed", "answers-looked-up", "promotion", "registry-read", "decision-log", "clock")


def with_outages(world: World) -> Evidence:
    """Evidence after both outages, as real labs showed them."""
    evidence = world.evidence()
    outages = tuple(
        Outage(
            unit=unit,
            began=evidence.taken,
            ended=evidence.taken,
            business_time=evidence.clock,
            probes=tuple(Probe(key=k, tried=3, succeeded=3 * (k in worked), detail=f"{k} tried") for k in TRIED),
        )
        for unit, worked in WENT_ON.items()
    )
    return evidence.model_copy(update={"outages": outages})
