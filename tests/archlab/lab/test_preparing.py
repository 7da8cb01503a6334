from __future__ import annotations

import pytest

from archlab.errors import UserError
from archlab.lab.preparing import POSTURES, parse_posture, parse_tier
from archlab.spec.drill_kinds import Replication
from archlab.spec.regions import PostureChange, Promotion, Standby, Tier


@pytest.mark.parametrize(
    ("setting", "value", "wanted"),
    [
        ("posture", "pilot-light", PostureChange(posture=Standby.PILOT_LIGHT)),
        ("replication", "async", PostureChange(replication=Replication.ASYNCHRONOUS)),
        ("backup-every", "90", PostureChange(backup_every_s=90)),
        ("backup-every", "45s", PostureChange(backup_every_s=45)),
        ("backup-every", "5m", PostureChange(backup_every_s=300)),
        ("backup-keep", "3", PostureChange(backup_keep=3)),
        ("check-every", "250", PostureChange(check_every_ms=250)),
        ("failures", "5", PostureChange(failures_to_detect=5)),
        ("promotion", "automatic", PostureChange(promotion=Promotion.AUTOMATIC)),
    ],
)
def test_what_a_learner_types(setting: str, value: str, wanted: PostureChange) -> None:
    assert parse_posture(setting, value) == wanted


def test_every_setting_of_a_tier_can_be_typed() -> None:
    assert set(POSTURES.values()) == set(PostureChange.model_fields)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("colour", "red", "no setting 'colour'"),
        ("posture", "hot", "posture can't be 'hot'"),
        ("failures", "0", "failures can't be '0'"),
        ("backup-every", "soon", "not a span of time"),
    ],
)
def test_what_is_none_is_refused_with_what_was_found(setting: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_posture(setting, value)


def test_a_tier_by_its_name() -> None:
    assert parse_tier("best-effort") is Tier.BEST_EFFORT
    with pytest.raises(UserError, match="critical, important, best-effort") as refused:
        parse_tier("gold")
    assert "gold" in refused.value.message
