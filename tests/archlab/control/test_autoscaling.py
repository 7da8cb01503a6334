"""Pools that control scales: the rule, and one pool's life through it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.control.app import repeat
from archlab.control.autoscaler import Autoscaler
from archlab.control.autoscaling import Stabilizer, busy_seconds, concurrency, recommend
from archlab.control.desired import Desired
from archlab.errors import UnavailableError
from archlab.settings import LabFolder
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.plan import Role, Unit

SETTINGS = Autoscaling(signal=Signal.CONCURRENCY, target_milli=500, max_replicas=4, stabilization_s=60)
TEXT = """\
# TYPE archlab_inference_seconds histogram
archlab_inference_seconds_bucket{model="a",version="1",le="0.001"} 7
archlab_inference_seconds_sum{model="a",version="1"} 1.5
archlab_inference_seconds_sum{model="b",version="2"} 2.5e-1
archlab_queue_seconds_sum{model="b",version="2"} 9
"""


def test_requests_under_way_are_what_their_time_grows_by() -> None:
    assert busy_seconds(TEXT) == 1.75
    assert concurrency({"a": 1.0, "b": 2.0}, {"a": 7.0, "b": 4.0}, 4.0) == 1.0
    assert concurrency({"a": 1.0}, {"a": 5.0, "new": 900.0}, 4.0) == 0.5, "what a new pod did before is not known"
    assert concurrency({"a": 100.0}, {"a": 2.0}, 4.0) == 0.5, "a pod that was started anew counts from nothing"


@given(replicas=st.integers(1, 8), target=st.floats(0.01, 10), ratio=st.floats(0, 20))
def test_the_recommendation_brings_the_value_to_its_target(replicas: int, target: float, ratio: float) -> None:
    wanted = recommend(replicas, ratio * target, target)
    load = replicas * ratio
    assert wanted == replicas or (load <= wanted + 1e-6 and wanted - 1 < load + 1e-6)
    if abs(ratio - 1) < 0.099:
        assert wanted == replicas


def test_more_at_once_fewer_only_when_fewer_was_enough_for_the_whole_window() -> None:
    stabilizer = Stabilizer()
    assert stabilizer.decide(0, 2, 2, 2, SETTINGS) == 2
    assert stabilizer.decide(5, 2, 9, 2, SETTINGS) == 4, "never more than allowed"
    assert stabilizer.decide(10, 4, 1, 2, SETTINGS) == 4
    assert stabilizer.decide(40, 4, 3, 2, SETTINGS) == 4
    assert stabilizer.decide(66, 4, 1, 2, SETTINGS) == 3, "the most of the last minute"
    assert stabilizer.decide(101, 3, 1, 2, SETTINGS) == 2, "never fewer than the least"


def test_after_a_restart_nothing_is_taken_away_at_once() -> None:
    stabilizer = Stabilizer()
    assert stabilizer.decide(1000, 4, 1, 2, SETTINGS) == 4
    assert stabilizer.decide(1059, 4, 1, 2, SETTINGS) == 4
    assert stabilizer.decide(1061, 4, 1, 2, SETTINGS) == 2


@dataclass
class Recorded:
    """The `scale` subresource, without a cluster."""

    count: int = 2
    refused: str = ""
    set_to: list[int] = field(default_factory=list)
    asked: set[tuple[str, str]] = field(default_factory=set)

    def replicas(self, name: str, team: str) -> int:
        if self.refused:
            raise UnavailableError(self.refused)
        self.asked.add((name, team))
        return self.count

    def set_replicas(self, name: str, team: str, count: int) -> None:
        self.set_to.append(count)
        self.count = count


@pytest.fixture
def scale() -> Recorded:
    return Recorded()


@pytest.fixture
def autoscaler(tmp_path: Path, scale: Recorded) -> Autoscaler:
    folder = LabFolder(tmp_path / "lab")
    folder.control_db.parent.mkdir(parents=True)
    return Autoscaler(folder, Desired(folder), scale)


UNIT = Unit(name="online", role=Role.SERVER, replicas=2, team="revenue", autoscaling=SETTINGS)


def test_a_busy_pool_grows_and_says_why_and_the_reason_survives_a_restart(
    autoscaler: Autoscaler, scale: Recorded
) -> None:
    autoscaler._follow(UNIT, {"a": 0.0, "b": 0.0}, 0)
    autoscaler._follow(UNIT, {"a": 4.0, "b": 3.0}, 5)
    assert scale.set_to == [3]
    assert scale.asked == {("online", "revenue")}, "a team's pool is in the team's namespace"
    (event,) = Autoscaler(autoscaler.folder, autoscaler.desired, scale)._events()
    assert (event.unit, event.replicas) == ("online", 3)
    assert event.why == "0.70 requests under way per pod, target 0.5"
    autoscaler._follow(UNIT, {"a": 14.0, "b": 13.0, "c": 0.0}, 10)
    assert scale.set_to == [3, 4]
    assert "at most 4 are allowed" in autoscaler._pools["online"].said


def test_a_busy_pool_grows_no_further_than_its_teams_quota_and_says_who_can_raise_it(
    autoscaler: Autoscaler, scale: Recorded
) -> None:
    autoscaler._follow(UNIT, {"a": 0.0, "b": 0.0}, 0, 3)
    autoscaler._follow(UNIT, {"a": 40.0, "b": 30.0}, 5, 3)
    assert scale.set_to == [3]
    assert autoscaler._pools["online"].said == (
        "28 replicas would be needed; the quota of team revenue lets it have 3, an operator can raise it: "
        "archlab quota set revenue memory MIB"
    )


def test_a_scale_that_is_refused_is_said(autoscaler: Autoscaler, scale: Recorded) -> None:
    autoscaler._follow(UNIT, {"a": 0.0}, 0)
    scale.refused = "deployments.apps is forbidden"
    autoscaler._follow(UNIT, {"a": 40.0}, 5)
    assert scale.set_to == []
    assert autoscaler._pools["online"].said == "deployments.apps is forbidden"
    scale.refused = ""
    autoscaler._follow(UNIT, {"a": 50.0}, 10)
    assert scale.set_to == [4], "the next round tries again"


def test_a_full_disk_ends_no_scaling(autoscaler: Autoscaler, scale: Recorded) -> None:
    """What was done can't be kept; the pool follows its load all the same, and is followed on."""
    autoscaler._follow(UNIT, {"a": 0.0}, 0)
    autoscaler._file.mkdir()
    autoscaler._follow(UNIT, {"a": 10.0}, 5)
    assert scale.set_to == [4]
    assert "scaling.json" in autoscaler._pools["online"].said
    autoscaler._file.rmdir()
    autoscaler._follow(UNIT, {"a": 10.0}, 200)
    autoscaler._follow(UNIT, {"a": 10.0}, 300)
    assert scale.set_to == [4, 2]


def test_a_round_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    rounds: list[int] = []

    def work() -> bool:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise OSError(28, "No space left on device")
        if len(rounds) == 2:
            raise RuntimeError("something nobody thought of")
        return len(rounds) < 5

    async def watch() -> None:
        task = asyncio.create_task(repeat(work, 0.01))
        while len(rounds) < 6:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(asyncio.wait_for(watch(), 20))
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a round of work failed; the next follows"] * 2


def test_on_one_machine_nothing_is_scaled(autoscaler: Autoscaler, scale: Recorded) -> None:
    autoscaler.run()
    assert scale.set_to == []
