"""What copies of files let expect: the posture decides, measured failovers stand beside it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archlab.plan.copies import TAKE_FILES, expected_copies
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.regions import FILES, Part, Regions, Standby, Takeover


@pytest.fixture
def regions() -> Regions:
    found = load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml").regions
    assert found
    return found


def test_the_more_a_posture_holds_the_younger_is_what_takes_over(regions: Regions) -> None:
    found = expected_copies(regions, [])
    assert [o.part for o in found[:: len(Standby)]] == list(FILES)
    for part in FILES:
        backup, pilot, warm, active = (o for o in found if o.part is part)
        assert backup.rpo_s == regions.of(part).backup_every_s
        assert warm.rpo_s == active.rpo_s < backup.rpo_s < pilot.rpo_s, "a copy is on its way for a while too"
        assert backup.rto_s > 0 == pilot.rto_s == warm.rto_s
        assert [o.posture for o in (backup, pilot, warm, active) if o.chosen] == [regions.of(part).posture]


def test_what_failovers_took_stands_beside_the_posture_that_they_had(regions: Regions) -> None:
    done = [
        Takeover(
            runbook="failover to", region="west", began=datetime.now(UTC), seconds={TAKE_FILES: took}, posture=regions
        )
        for took in (0.1, 0.4, 0.3)
    ]
    found = {(o.part, o.posture): o.measured_rto_s for o in expected_copies(regions, done)}
    chosen = regions.of(Part.ARTIFACTS).posture
    assert found[Part.ARTIFACTS, chosen] == 0.3
    assert {took for (_, posture), took in found.items() if posture is Standby.ACTIVE_ACTIVE} == {None}
