"""A pair of regions as the questions need it: what it promises, what it costs, what an outage costs. Pure."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from archlab.plan.layout import layout
from archlab.plan.postures import Expectation, Mechanics, expected, mechanics
from archlab.plan.resolve import override
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.base import NANO_PER_USD, NanoUsd
from archlab.spec.grading import Evidence
from archlab.spec.region_facts import RegionFacts, RegionFault
from archlab.spec.regions import Part, PostureChange, Regions, RegionsOverride, Standby, Takeover, Tier, TierPosture
from archlab.spec.scenario import Overrides
from archlab.world.commitment import held

DAY = timedelta(days=1)
NO_DAY = "Your lab has no whole business day on its books yet: archlab clock advance 1d"
MODELS = ("departure-delay", "airport-congestion", "flight-time", "aircraft-reliability")


def pair(evidence: Evidence) -> Regions:
    """The regions as they are prepared now."""
    assert evidence.scenario.regions is not None
    return evidence.scenario.regions


def seen(evidence: Evidence) -> RegionFacts:
    """What became of them."""
    assert evidence.regions is not None
    return evidence.regions


def registry(evidence: Evidence) -> TierPosture:
    """How what is written is prepared."""
    return pair(evidence).of(Part.REGISTRY)


def knob(evidence: Evidence, name: str) -> str:
    """What the seed decided for questions, as text."""
    return str(evidence.scenario.knobs[name])


def whole_days(evidence: Evidence) -> tuple[Scoreboard, ...]:
    """Scoreboards of whole business days, oldest first."""
    return tuple(day for day in evidence.daily if day.until - day.since >= DAY)


def row(day: Scoreboard, model: str) -> ModelScore:
    """A model's row of a day."""
    return next(score for score in day.models if score.model == model)


def missed_per_second(evidence: Evidence, model: str) -> Fraction:
    """Nano-dollars that a second without answers costs: what they earned on the last whole day, and what none costs."""
    score, caller = row(whole_days(evidence)[-1], model), evidence.scenario.model(model).caller
    nothing = score.requests * caller.represents * caller.value.late
    return Fraction(score.value_nanousd - nothing, 86_400)


def in_tier(evidence: Evidence, tier: Tier) -> list[str]:
    """Models of a tier."""
    return [m.name for m in evidence.scenario.models if pair(evidence).tier(m.name) is tier]


def expectation(evidence: Evidence, tier: Tier, posture: Standby) -> Expectation:
    """What a tier may expect in a posture; the rest of its settings stay."""
    held_so = pair(evidence)
    prepared = held_so.tiers[tier].model_copy(update={"posture": posture})
    return expected(held_so, tier, prepared, len(in_tier(evidence, tier)), known(evidence))


def known(evidence: Evidence) -> Mechanics:
    """What the lab's own failovers took, or round figures: as `archlab dr plan` has it."""
    return mechanics(seen(evidence).runbooks)


def month(evidence: Evidence, tier: Tier, posture: Standby) -> NanoUsd:
    """What a tier holds for 30 days in a posture, more than in backup-only."""
    return _held(evidence, tier, posture) - _held(evidence, tier, Standby.BACKUP_ONLY)


def _held(evidence: Evidence, tier: Tier, posture: Standby) -> NanoUsd:
    changes = Overrides(regions=RegionsOverride(tiers={tier: PostureChange(posture=posture)}))
    scenario = override(evidence.scenario, changes)
    plan = layout(evidence.lab, scenario, evidence.variant.seed, changes)
    return sum(held(scenario, plan, evidence.clock).values())


def usd(nanousd: Fraction | int) -> float:
    """For people: dollars."""
    return float(Fraction(nanousd) / NANO_PER_USD)


def lost_first(evidence: Evidence) -> RegionFault | None:
    """The newest kill of the region that took writes; None while there was none."""
    kills = [f for f in seen(evidence).faults if f.what == "kill" and f.region == f.primary]
    return kills[-1] if kills else None


def failover_after(evidence: Evidence, fault: RegionFault) -> Takeover | None:
    """The first failover after a fault; None while there was none."""
    return next((t for t in seen(evidence).runbooks if t.runbook == "failover to" and t.began >= fault.at), None)
