"""Settings as the learner types them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from archlab.errors import UserError
from archlab.lab.changes import parse_change
from archlab.spec.scenario import Mode, ModelOverride


@pytest.mark.parametrize(
    ("setting", "value", "change"),
    [
        ("mode", "batch", ModelOverride(mode=Mode.BATCH)),
        ("replicas", "3", ModelOverride(replicas=3)),
        ("batch-every", "6h", ModelOverride(batch_every=timedelta(hours=6))),
        ("canary", "25", ModelOverride(canary_percent=25)),
        ("canary", "10%", ModelOverride(canary_percent=10)),
        ("shadow", "on", ModelOverride(shadow_percent=100)),
        ("shadow", "off", ModelOverride(shadow_percent=0)),
        ("shadow", "5", ModelOverride(shadow_percent=5)),
        ("device", "on", ModelOverride(device="on")),
        ("device", "nvidia-l4", ModelOverride(device="nvidia-l4")),
        ("device", "1g.5gb", ModelOverride(device="1g.5gb")),
    ],
)
def test_a_setting_becomes_an_override(setting: str, value: str, change: ModelOverride) -> None:
    assert parse_change(setting, value) == change


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("colour", "red", "There is no setting 'colour'"),
        ("mode", "sometimes", "mode can't be 'sometimes'"),
        ("replicas", "0", "replicas can't be '0'"),
        ("replicas", "many", "replicas can't be 'many'"),
        ("canary", "101", "canary can't be '101'"),
        ("shadow", "maybe", "shadow can't be 'maybe'"),
        ("device", "8g.5gb", "device can't be '8g.5gb'"),
        ("batch-every", "often", "is not a span of time"),
    ],
)
def test_what_is_not_a_setting_is_named(setting: str, value: str, said: str) -> None:
    with pytest.raises(UserError, match=said.replace("'", ".")):
        parse_change(setting, value)
