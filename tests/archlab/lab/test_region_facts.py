"""What is written down about a lab's regions: by hand, in order, and forgotten by a reset."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.files import write_model
from archlab.lab import region_facts, region_journal
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.outages import Probe
from archlab.spec.region_facts import RegionProbe
from archlab.spec.regions import PostureChange, RegionsOverride, RegionState, Standby, Tier
from archlab.spec.scenario import Overrides
from archlab.targets import places
from archlab.targets.region_files import return_to_start
from drill_reports import BEGAN, measured, report


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    folder = LabFolder(tmp_path / "pair")
    made = LabIdentity(
        lab="pair",
        scenario="disaster-recovery",
        seed=1,
        code_version="0",
        gateway_port=18080,
        state=LabState.READY,
        created=BEGAN,
    )
    write_model(folder.identity, made)
    return Lab(folder)


def test_a_fault_is_kept_with_the_posture_and_the_primary_of_its_moment(lab: Lab) -> None:
    region_journal.note_fault(lab, "kill", "east")
    changed = RegionsOverride(tiers={Tier.CRITICAL: PostureChange(posture=Standby.PILOT_LIGHT)})
    write_model(lab.folder.overrides, Overrides(regions=changed))
    places.remember(lab.folder, RegionState(primary="west", lost=("east",)))
    region_journal.note_fault(Lab(lab.folder), "cut")
    first, second = region_journal.faults(lab)
    assert (first.what, first.region, first.primary) == ("kill", "east", "east")
    assert first.posture.tiers[Tier.CRITICAL].posture is Standby.WARM_STANDBY
    assert (second.what, second.region, second.primary) == ("cut", None, "west")
    assert second.posture.tiers[Tier.CRITICAL].posture is Standby.PILOT_LIGHT
    assert first.at < second.at


def test_a_reset_forgets_what_befell_the_regions(lab: Lab) -> None:
    pair = lab.scenario.regions
    assert pair is not None
    region_journal.note_fault(lab, "kill", "west")
    tried = Probe(key="score", tried=5, succeeded=5, detail="answered")
    seen = RegionProbe(
        at=datetime.now(UTC), down=("west",), state=RegionState(primary="east"), posture=pair, probes=(tried,)
    )
    region_journal.note_probe(lab, seen)
    assert region_journal.probes(lab) == (seen,)
    return_to_start(lab.folder)
    assert region_journal.faults(lab) == ()
    assert region_journal.probes(lab) == ()


def test_drills_count_from_the_labs_making_on_and_damaged_reports_do_not(lab: Lab, tmp_path: Path) -> None:
    later, before = BEGAN + timedelta(minutes=5), BEGAN - timedelta(seconds=1)
    for name, began in (("b", later), ("a", BEGAN), ("c", before)):
        folder = tmp_path / "drills" / name
        folder.mkdir(parents=True)
        write_model(folder / "report.json", report(measured(rto_s=1.5), began=began))
    damaged = tmp_path / "drills" / "d"
    damaged.mkdir()
    (damaged / "report.json").write_text("{")
    found = region_facts.drills(lab)
    assert [one.began for one in found] == [BEGAN, later]
    assert found[0].measured is not None
    assert found[0].measured.rto_s == 1.5
