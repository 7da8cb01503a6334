"""What copies of files cost: charged once, by whoever counts, whatever is done again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.files import write_model
from archlab.ledger.lines import lines
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.money import Price, Resource
from archlab.spec.plan import Plan
from archlab.spec.regions import Part, PartCopy, RegionFiles, RegionState
from archlab.spec.scenario import Overrides, Scenario
from archlab.world.copying import charge, copied, kept
from archlab.world.metering import Interval

START = datetime(2013, 12, 2, 8, tzinfo=UTC)
NEXT = START + timedelta(minutes=30)


@pytest.fixture
def scenario() -> Scenario:
    found = load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml")
    transfer = Price(resource=Resource.TRANSFER, effective=START, nanousd=20_000_000, per=1 << 20)
    return found.model_copy(
        update={"prices": found.prices.model_copy(update={"prices": (*found.prices.prices, transfer)})}
    )


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    return LabFolder(tmp_path)


def say(folder: LabFolder, region: str, *here: PartCopy, archive: tuple[PartCopy, ...] = ()) -> None:
    (folder.regions / region).mkdir(parents=True, exist_ok=True)
    write_model(folder.regions / region / "files.json", RegionFiles(region=region, here=here, archive=archive))


def planned(scenario: Scenario, state: RegionState | None = None) -> Plan:
    return layout("lab", scenario, 1, Overrides(), regions=state)


def weights(size: int, moved: int) -> PartCopy:
    return PartCopy(part=Part.ARTIFACTS, files=3, size_bytes=size, copied_bytes=moved)


def test_the_second_regions_copies_and_the_archive_are_paid_for(folder: LabFolder, scenario: Scenario) -> None:
    say(folder, "east", weights(5000, 0), archive=(weights(700, 1400),))
    say(folder, "west", weights(5000, 9000))
    found = kept(folder, planned(scenario))
    assert set(found) == {"artifacts-west", "artifacts-archive"}, "the primary's own are the lab's anyway"
    made = copied(Interval(START, NEXT), scenario, found, charge(folder, START, found))
    assert {(u.resource, u.unit): u.quantity for u in made} == {
        (Resource.STORAGE, "artifacts-west"): 5 * 1800,
        (Resource.STORAGE, "artifacts-archive"): 1 * 1800,
        (Resource.TRANSFER, "artifacts-west"): 9,
        (Resource.TRANSFER, "artifacts-archive"): 2,
    }
    assert sum(line.cost_nanousd for line in lines(made, scenario.prices)) > 0
    lost = RegionState(primary="west", lost=("east",))
    assert kept(folder, planned(scenario, lost)) == {}, "with one region left nothing is copied"


def test_bytes_are_charged_once_and_a_tick_that_is_done_again_pays_the_same(
    folder: LabFolder, scenario: Scenario
) -> None:
    plan = planned(scenario)
    say(folder, "west", weights(1, 3000))
    assert charge(folder, START, kept(folder, plan)) == {"artifacts-west": 3000}
    say(folder, "west", weights(1, 3500))
    assert charge(folder, START, kept(folder, plan)) == {"artifacts-west": 3500}, "the tick was broken off"
    assert charge(folder, NEXT, kept(folder, plan)) == {"artifacts-west": 0}
    say(folder, "west", weights(1, 100))
    after = NEXT + timedelta(minutes=30)
    assert charge(folder, after, kept(folder, plan)) == {"artifacts-west": 100}, "a store that began anew"


def test_a_lab_in_one_place_copies_nothing(folder: LabFolder) -> None:
    scenario = load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")
    found = kept(folder, planned(scenario))
    assert copied(Interval(START, NEXT), scenario, found, charge(folder, START, found)) == []
    assert not folder.regions.exists()
