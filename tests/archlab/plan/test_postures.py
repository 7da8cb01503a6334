from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archlab.plan.postures import PROMOTE_S, RESTORE_S, START_S, expected, mechanics
from archlab.spec.drill_kinds import Replication
from archlab.spec.regions import Part, Promotion, Regions, Standby, Takeover, Tier, TierPosture

DECISION_S = 120


def pair(parts: Tier = Tier.CRITICAL) -> Regions:
    return Regions(
        names=("east", "west"),
        latency_ms=40,
        tiers=dict.fromkeys(Tier, TierPosture()),
        parts=dict.fromkeys(Part, parts),
        decision_s=DECISION_S,
    )


def tier(posture: Standby, **more: object) -> TierPosture:
    return TierPosture.model_validate({"posture": posture, "check_every_ms": 500, "failures_to_detect": 4, **more})


def test_what_is_ready_beforehand_recovers_sooner() -> None:
    found = [expected(pair(), Tier.CRITICAL, tier(posture), 1) for posture in Standby]
    answers, writes = [f.answers_rto_s for f in found], [f.writes_rto_s for f in found]
    assert answers == [2 + DECISION_S + START_S, 2 + DECISION_S + START_S, 2, 0]
    assert None not in writes
    assert writes == sorted((w for w in writes if w is not None), reverse=True)
    assert writes[-1] == 2 + DECISION_S + PROMOTE_S, "active-active or not: there is one writer"


def test_nobody_has_to_be_asked_where_promotion_is_automatic() -> None:
    by_itself = tier(Standby.WARM_STANDBY, promotion=Promotion.AUTOMATIC)
    assert expected(pair(), Tier.CRITICAL, by_itself, 1).writes_rto_s == 2 + PROMOTE_S


@pytest.mark.parametrize(
    ("prepared", "rpo_s"),
    [
        (tier(Standby.WARM_STANDBY, replication=Replication.SYNCHRONOUS), 0),
        (tier(Standby.PILOT_LIGHT, replication=Replication.ASYNCHRONOUS), 0.04),
        (tier(Standby.BACKUP_ONLY, replication=Replication.SYNCHRONOUS, backup_every_s=90), 90),
    ],
)
def test_what_may_be_lost_is_the_lag_of_the_copy(prepared: TierPosture, rpo_s: float) -> None:
    assert expected(pair(), Tier.CRITICAL, prepared, 1).rpo_s == rpo_s


def test_a_tier_without_parts_has_nothing_to_lose_and_one_without_models_answers_nobody() -> None:
    only_models = expected(pair(Tier.IMPORTANT), Tier.CRITICAL, tier(Standby.WARM_STANDBY), 2)
    assert (only_models.writes_rto_s, only_models.rpo_s) == (None, None)
    assert expected(pair(), Tier.CRITICAL, tier(Standby.WARM_STANDBY), 0).answers_rto_s is None


def failover(posture: Standby, **seconds: float) -> Takeover:
    took = {"assess": 0.1, "fence": 0.2, "promote": 0.4, "scale up": 3.0, "verify": 0.1, **seconds}
    known = pair().model_copy(update={"tiers": dict.fromkeys(Tier, tier(posture))})
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return Takeover(runbook="failover to", region="west", began=began, seconds=took, posture=known)


def test_what_a_labs_own_failovers_took_replaces_round_figures() -> None:
    known = mechanics([])
    assert (known.promote.seconds, known.start.seconds, known.restore.seconds) == (PROMOTE_S, START_S, RESTORE_S)
    assert known.start.source == "a round figure"
    warm = [failover(Standby.WARM_STANDBY, promote=p) for p in (0.3, 0.5, 0.9)]
    known = mechanics([*warm, failover(Standby.BACKUP_ONLY, promote=6.0)])
    assert abs(known.promote.seconds - 0.8) < 1e-9
    assert known.promote.source == "median of 3 of this lab's failovers"
    assert (known.start.seconds, known.restore.seconds, known.restore.runs) == (3.0, 6.0, 1)
    found = expected(pair(), Tier.CRITICAL, tier(Standby.BACKUP_ONLY), 1, known)
    assert found.writes_rto_s == 2 + DECISION_S + 6.0 + 3.0
    assert found.answers_rto_s == 2 + DECISION_S + 3.0
