"""Whole drills, on two real regions each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from archlab.drills import records
from archlab.drills.failover import assess
from archlab.drills.measure import acknowledgements
from archlab.drills.probe import read_ledger
from archlab.drills.run import plain, run, unclean
from archlab.drills.testbed import Testbed
from archlab.errors import ConflictError
from archlab.spec.drill import Attempt, DrillReport, Kind, Objectives, Posture, Recovery, Replication, Verdict
from archlab.targets import processes
from gated_registry import wait_for

pytestmark = pytest.mark.slow
FAST = Posture(latency_ms=2)


def _postgres() -> list[psutil.Process]:
    """Both databases' processes."""
    roots = [p for p in processes.marked(records.testbed_root(), jobs=True) if p.name() == "postgres"]
    return [*roots, *(child for root in roots for child in root.children())]


def drill(name: str, posture: Posture) -> DrillReport:
    """How soon is this machine's business, and that it is judged by it is proven in `test_measure.py`."""
    _, report = run(name, posture, lambda *_: None, objectives=Objectives(rto_s=120), control_s=1)
    return report


def left_running() -> list[str]:
    names = []
    for process in processes.marked(records.testbed_root(), jobs=True):
        with suppress(psutil.NoSuchProcess):
            names.append(process.name())
    return names


@pytest.mark.usefixtures("home")
def test_a_region_is_lost_and_nothing_that_was_acknowledged() -> None:
    report = drill("kill-region", FAST)
    assert (report.verdict, report.reasons) == (Verdict.GREEN, ())
    seen = report.measured
    assert seen
    assert (seen.lost, seen.rpo_s) == ((), 0.0)
    assert seen.acknowledged > 50
    assert seen.errors, "callers notice that a region is gone"
    assert seen.detection_s
    assert seen.rto_s
    assert seen.detection_s < seen.rto_s
    names = [event.name for event in report.events]
    order = ["east is killed", "detected", "decided", "assess", "fence", "promote", "rollbacks begin", "rejoin", "pair"]
    assert [name for name in names if name in order] == order
    assert report.failback_s
    folder, kept = records.one(None)
    assert kept == report
    assert len(read_ledger(folder / records.LEDGER)) > seen.acknowledged
    assert not records.testbed_root().exists()
    assert not left_running()


@pytest.mark.usefixtures("home")
def test_asynchronous_replication_over_a_cut_link_loses_writes_and_counts_them() -> None:
    posture = FAST.model_copy(update={"replication": Replication.ASYNCHRONOUS, "accept_data_loss": True})
    report = drill("partition-then-kill", posture)
    seen = report.measured
    assert seen
    assert seen.fault == "east is killed"
    assert seen.lost
    assert seen.rpo_s
    at = {event.name: event.at for event in report.events}
    cut_s = at["east is killed"] - at["the regions are cut off from each other"]
    assert cut_s >= 3
    assert 0.8 * cut_s < seen.rpo_s < cut_s + 1, "all that was written while there was no link"


@pytest.mark.usefixtures("home")
def test_without_recovery_a_drill_goes_red_and_its_rollbacks_bring_the_region_back() -> None:
    report = drill("lose-primary", FAST.model_copy(update={"recovery": Recovery.NONE, "patience_s": 2.0}))
    assert report.verdict is Verdict.RED
    assert "the steady state was not met again" in report.reasons
    assert report.measured
    assert report.measured.rto_s is None
    assert report.failback_s


@pytest.mark.usefixtures("home")
def test_a_mistake_that_was_replicated_is_undone_by_a_restore_and_what_came_after_it_is_counted() -> None:
    report = drill("delete-by-mistake", FAST)
    assert (report.verdict, report.reasons) == (Verdict.GREEN, ())
    seen = report.measured
    assert seen
    assert seen.lost, "a second's writes came after the mistake"
    assert seen.rpo_s == 0, "and none of before it is missing, though every second one had been deleted"
    folder, _ = records.one(None)
    told = acknowledgements([a for a in read_ledger(folder / records.LEDGER) if a.kind is Kind.WRITE])
    mistake = next(event.at for event in report.events if event.name.startswith("every second record"))
    before = [number for number, at in told.items() if at < mistake]
    assert len(before) > 50
    assert not set(before) & set(seen.lost)
    assert "promote" not in [event.name for event in report.events], "nobody failed over to the same mistake"


def test_nobody_fails_over_to_a_region_that_may_lack_writes_unless_that_is_accepted(home: Path) -> None:
    testbed = Testbed.lay_out(home / "nothing-runs", FAST)
    with pytest.raises(ConflictError, match="west may lack acknowledged writes"):
        assess(testbed, accept_data_loss=False)
    assert assess(testbed, accept_data_loss=True).endswith("; accepted")
    testbed.synchronous = True
    assert assess(testbed, accept_data_loss=False).startswith("every acknowledged write is in west")


def test_interrupted_it_is_void_and_rolled_back_killed_it_leaves_nothing_for_the_next(home: Path) -> None:
    with _started(home) as first:
        wait_for(lambda: _injected(home), "the fault", timeout_s=120)
        first.send_signal(signal.SIGINT)
        assert first.wait(120) == 1
    (name,) = records.all_reports()
    report = records.all_reports()[name]
    assert report.verdict is Verdict.VOID
    assert "pair" in [event.name for event in report.events], "the rollbacks ran"
    assert not left_running()

    with _started(home):
        wait_for(lambda: left_running().count("postgres") == 2, "both databases", timeout_s=120)
        with pytest.raises(ConflictError, match="drill run"):
            run("kill-region", FAST, lambda *_: None)
    assert left_running(), "a kill leaves the regions behind"
    before = _postgres()
    testbed = Testbed.lay_out(records.testbed_root(), FAST)
    try:
        testbed.up(lambda *_: None)
        assert testbed.answers()
    finally:
        testbed.down()
    assert not left_running()
    assert len(before) > 2, "with what they started themselves, whose environment can't be read"
    assert not [process for process in before if process.is_running()]


@contextmanager
def _started(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A drill from the command line that waits for people, killed in the end."""
    command = [str(Path(sys.executable).with_name("archlab")), "drill", "run", "kill-region", "--recovery", "manual"]
    env = {**os.environ, "ARCHLAB_HOME": str(home)}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def _injected(home: Path) -> bool:
    logs = list((home / "drills").glob(f"*/{records.LOG}"))
    return any("kill-the-first-region" in log.read_text() for log in logs)


def test_what_failed_is_told_without_the_names_of_exceptions() -> None:
    assert (
        plain("Traceback\n  x\nchaoslib.exceptions.ActivityFailed: archlab.errors.TargetError: it: gone\n")
        == "it: gone"
    )
    assert plain("Nobody: ordered a restore.") == "Nobody: ordered a restore."


def test_a_control_run_that_is_not_clean_makes_a_drill_void() -> None:
    def one(outcome: str) -> Attempt:
        return Attempt(kind=Kind.WRITE, number=1, sent=1, done=2, outcome=outcome)

    assert unclean([one("ok")]) == ()
    assert "timeout" in unclean([one("ok"), one("timeout")])[0]
    assert unclean([])


@pytest.mark.usefixtures("home")
def test_requests_that_fail_before_any_fault_make_a_drill_void(monkeypatch: pytest.MonkeyPatch) -> None:
    begins = Testbed.note

    def unwell(self: Testbed, name: str, detail: str = "") -> object:
        if name == "control run begins":
            threading.Thread(target=self.end, args=("service-east",)).start()
        return begins(self, name, detail)

    monkeypatch.setattr(Testbed, "note", unwell)
    report = drill("kill-region", FAST)
    assert report.verdict is Verdict.VOID
    assert "without any fault" in report.reasons[0]
    assert "east is killed" not in [event.name for event in report.events]
    assert report.measured is None
