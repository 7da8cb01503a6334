"""Designs that a submitted one is measured against: tiers made from the promises, and what one does without thought."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.spec.drill_kinds import Replication
from archlab.spec.regions import Part, PostureChange, Promotion, RegionsOverride, Standby, Tier
from archlab.spec.scenario import Overrides, Scenario

STANDS_BY = PostureChange(
    posture=Standby.WARM_STANDBY, replication=Replication.SYNCHRONOUS, promotion=Promotion.AUTOMATIC
)
FOLLOWS = PostureChange(posture=Standby.PILOT_LIGHT)
IN_A_BACKUP = PostureChange(posture=Standby.BACKUP_ONLY)


def tiers_by_promise(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """What somebody waits for stands by, with rows and files; the rest is started when it is needed."""
    return _tiered(scenario, rows=Tier.CRITICAL)


def one_for_all(_scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """Everything stands by."""
    return Overrides(regions=RegionsOverride(tiers=dict.fromkeys(Tier, STANDS_BY)))


def weights_only(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """Servers and files stand by; what says which file is which model's is in a backup."""
    return _tiered(scenario, rows=Tier.BEST_EFFORT)


def _tiered(scenario: Scenario, rows: Tier) -> Overrides:
    quick = str(scenario.knobs["quick-models"])
    models = {m.name: Tier.CRITICAL if m.name in quick else Tier.BEST_EFFORT for m in scenario.models}
    rest = dict.fromkeys((Part.FEATURES, Part.LEDGER, Part.POLICY), Tier.IMPORTANT)
    return Overrides(
        regions=RegionsOverride(
            tiers={Tier.CRITICAL: STANDS_BY, Tier.IMPORTANT: FOLLOWS, Tier.BEST_EFFORT: IN_A_BACKUP},
            parts={Part.REGISTRY: rows, Part.ARTIFACTS: Tier.CRITICAL, **rest},
            models=models,
        )
    )
