"""What people do in a drill: without regions, and in a whole surprise drill from the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from archlab.drills import experiments, records
from archlab.drills.measure import DECIDED, DECLARED, ORDERED, measure
from archlab.drills.orders import Desk, Order, What, give
from archlab.drills.run import _Drill
from archlab.drills.surprise import draw
from archlab.drills.testbed import Testbed
from archlab.errors import ArchlabError, LabStateError
from archlab.spec.drill import Event, Posture, Recovery, Surprise, Verdict
from drill_reports import FAULT, attempts
from gated_registry import wait_for

MANUAL = Posture(latency_ms=2, recovery=Recovery.MANUAL)


@pytest.fixture
def testbed(home: Path) -> Testbed:
    """Regions of which nothing runs."""
    return Testbed.lay_out(home / "nothing-runs", MANUAL)


def names(testbed: Testbed) -> list[str]:
    return [event.name for event in testbed.events]


def test_a_declaration_is_noted_whoever_recovers(testbed: Testbed) -> None:
    answer = Desk(testbed).carry_out(Order(what=What.DECLARE))
    assert answer.done
    assert names(testbed) == [DECLARED]


def test_an_order_counts_as_a_declaration_and_a_refusal_says_why(testbed: Testbed) -> None:
    desk = Desk(testbed)
    answer = desk.carry_out(Order(what=What.FAILOVER))
    assert not answer.done
    assert "west may lack acknowledged writes" in answer.said[0]
    assert "--accept-data-loss" in answer.remedy
    assert names(testbed) == [DECLARED, ORDERED, DECIDED, "refused"]
    assert desk.acted.is_set()
    assert not desk.carry_out(Order(what=What.RESTORE)).done, "no mistake is known"
    assert not testbed.restored.is_set()


def test_nobody_takes_orders_where_the_platform_decides_or_when_it_is_over(testbed: Testbed, home: Path) -> None:
    alone = Testbed.lay_out(home / "alone", Posture())
    answer = Desk(alone).carry_out(Order(what=What.FAILOVER))
    assert (answer.done, names(alone)) == (False, [])
    assert "automatic" in answer.said[0]
    desk = Desk(testbed)
    desk.close()
    assert not desk.carry_out(Order(what=What.FAILOVER)).done
    assert not names(testbed)


def test_a_region_that_took_over_is_not_left_by_a_second_order(testbed: Testbed) -> None:
    testbed.primary = "west"
    assert Desk(testbed).carry_out(Order(what=What.FAILOVER)).said == ("west has taken over already.",)


@pytest.mark.usefixtures("home")
def test_without_a_drill_there_is_nobody_to_tell() -> None:
    with pytest.raises(LabStateError, match="No drill waits"):
        give(Order(what=What.DECLARE))


def test_a_recovery_before_any_fault_makes_a_surprise_void(testbed: Testbed, home: Path) -> None:
    surprise = Surprise(code="x", drill="kill-region", delay_s=60, pause_s=1)
    drill = _Drill(experiments.load("kill-region"), testbed, home, lambda *_: None, surprise)
    desk = Desk(testbed)
    desk.acted.set()
    assert drill._quiet(desk) == ("somebody ordered a recovery before there was a fault",)


def test_the_learners_clocks() -> None:
    fault = Event(name="east is killed", at=FAULT)

    def clocks(**moments: float) -> tuple[float | None, ...]:
        events = [Event(name=name, at=at) for name, at in moments.items()]
        seen = measure(attempts(), [fault], events, set())
        return (seen.detection_s, seen.decision_s, seen.learner_detection_s, seen.learner_decision_s)

    both = {"detected": FAULT + 0.5, "declared": FAULT + 4, "ordered": FAULT + 6, "decided": FAULT + 6}
    assert clocks(**both) == (0.5, 5.5, 4, 2), "the platform's decision counts from whoever noticed first"
    assert clocks(declared=FAULT + 4, ordered=FAULT + 6, decided=FAULT + 6) == (None, 2, 4, 2)
    assert clocks(declared=FAULT - 3) == (None, None, None, None), "a false alarm is no detection"


def test_whoever_notices_a_cut_before_callers_do_was_not_too_early() -> None:
    cut, kill = Event(name="cut", at=FAULT - 3), Event(name="kill", at=FAULT)
    seen = measure(attempts(), [cut, kill], [Event(name=DECLARED, at=FAULT - 1)], set())
    assert (seen.fault, seen.learner_detection_s) == ("kill", 0.0)


@pytest.mark.slow
def test_a_surprise_stays_one_until_its_report_and_waits_for_people(home: Path) -> None:
    code = next(f"gate {n}" for n in range(100) if _drawn(f"gate {n}").drill == "kill-region")
    with _started(home, "--surprise", code, "--within", "1", "--recovery", "manual") as process:
        wait_for(lambda: _look() == "its database takes writes", "the regions", timeout_s=60)
        wait_for(lambda: "does not answer" in _look(), "the fault", timeout_s=60)
        (folder,) = (f for f in records.root().iterdir() if (f / records.LEDGER).exists() and f.name != "testbed")
        assert folder.name.endswith("-surprise")
        assert not (files := _files_that_tell(home)), f"{files} name the drill before its report"
        give(Order(what=What.DECLARE))
        assert any("west takes writes" in line for line in give(Order(what=What.FAILOVER)))
        assert process.stdout
        before, told, after = process.stdout.read().decode().partition("The surprise of")
        assert process.wait(60) == 0
    assert told
    assert not [word for word in ("kill-region", "is killed", "A region is lost") if word in before]
    assert "kill-region" in after
    _, report = records.one(None)
    assert (report.drill, report.verdict) == ("kill-region", Verdict.GREEN)
    assert report.surprise
    assert (report.surprise.code, report.surprise.delay_s) == (code, 1.0)
    seen = report.measured
    assert seen
    assert seen.learner_detection_s
    assert seen.learner_decision_s is not None
    assert seen.rto_s
    assert seen.rto_s > seen.learner_detection_s
    assert "kill-the-first-region" in (folder / records.LOG).read_text(), "afterwards the log is there"


def _drawn(code: str) -> Surprise:
    return draw(code, experiments.names(), 1)


def _look() -> str:
    """What east says; nothing while there is nobody to ask."""
    try:
        return give(Order(what=What.LOOK))[1].removeprefix("east: ")
    except ArchlabError:
        return ""


def _files_that_tell(home: Path) -> list[Path]:
    """Files in which the drill or its fault is named; the databases' own don't know of it."""
    words = (b"kill-region", b"kill-the-first-region", b"is killed", b"A region is lost", b"kill_region")
    found = [p for p in (home / "drills").rglob("*") if p.is_file() and "data" not in p.parts and p.name != "backup"]
    return [path for path in found if any(word in path.read_bytes() for word in words)]


@contextmanager
def _started(home: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [str(Path(sys.executable).with_name("archlab")), "drill", "run", *options, "--rto", "60"]
    env = {**os.environ, "ARCHLAB_HOME": str(home)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.kill()
