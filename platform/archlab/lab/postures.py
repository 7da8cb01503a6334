"""What each tier could be prepared like, what that lets expect, and what it costs in 30 days: `archlab dr plan`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from archlab.lab.lab import Lab
from archlab.lab.regional import regions
from archlab.lab.work import clock
from archlab.plan.layout import layout
from archlab.plan.postures import ROUND, Expectation, Mechanics, expected
from archlab.plan.resolve import override
from archlab.spec.base import NanoUsd
from archlab.spec.regions import PostureChange, RegionsOverride, Standby, Tier
from archlab.spec.scenario import Overrides, Scenario
from archlab.world.commitment import held


@dataclass(frozen=True, slots=True)
class Option:
    """One tier in one posture."""

    tier: Tier
    posture: Standby
    chosen: bool
    """Whether it is prepared so now."""
    contains: tuple[str, ...]
    """Models and parts in it."""
    expected: Expectation
    cost_nanousd: NanoUsd
    """Of 30 days, more than if the tier held nothing in the second region."""


def options(lab: Lab, known: Mechanics = ROUND) -> list[Option]:
    """Every tier in every posture; the rest of each tier's settings stay as they are.

    Raises:
        UserError: the lab runs in one place.
    """
    regions(lab)
    return weigh(lab.resolved, lab.overrides, clock(lab), known)


def weigh(resolved: Scenario, overrides: Overrides, now: datetime, known: Mechanics = ROUND) -> list[Option]:
    """The same of a scenario with regions, before overrides, with prices of a moment of the business clock. Pure."""
    scenario = override(resolved, overrides)
    found = []
    for tier in Tier:
        costs = {posture: _cost(resolved, _with(overrides, tier, posture), now) for posture in Standby}
        found += [
            _option(scenario, tier, posture, costs[posture] - costs[Standby.BACKUP_ONLY], known) for posture in Standby
        ]
    return found


def _cost(resolved: Scenario, wanted: Overrides, now: datetime) -> NanoUsd:
    plan = layout(resolved.name, resolved, 0, wanted)
    return sum(held(override(resolved, wanted), plan, now).values())


def _with(overrides: Overrides, tier: Tier, posture: Standby) -> Overrides:
    before = overrides.regions or RegionsOverride()
    change = before.tiers.get(tier, PostureChange()).model_copy(update={"posture": posture})
    tiers = {**before.tiers, tier: change}
    return overrides.model_copy(update={"regions": before.model_copy(update={"tiers": tiers})})


def _option(scenario: Scenario, tier: Tier, posture: Standby, cost: NanoUsd, known: Mechanics) -> Option:
    pair = scenario.regions
    assert pair is not None
    models = [m.name for m in scenario.models if pair.tier(m.name) is tier]
    prepared = pair.tiers[tier].model_copy(update={"posture": posture})
    return Option(
        tier=tier,
        posture=posture,
        chosen=pair.tiers[tier].posture is posture,
        contains=(*models, *(part.value for part, given in pair.parts.items() if given is tier)),
        expected=expected(pair, tier, prepared, len(models), known),
        cost_nanousd=cost,
    )
