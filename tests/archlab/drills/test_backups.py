"""A backup of a real database that does not restore, and another one that does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from archlab.drills import backups, faults, keeping
from archlab.drills.restoring import restore_before_mistake
from archlab.drills.testbed import Testbed, current
from archlab.errors import LabStateError
from archlab.recovery.vault import DamagedError
from archlab.spec.drill import Posture
from gated_registry import wait_for

pytestmark = pytest.mark.slow


def records_of(testbed: Testbed) -> list[int]:
    found: list[int] = httpx.get(f"{testbed.base}/writes").json()["numbers"]
    return [number for number in found if number < 1000]


def test_a_damaged_backup_stops_a_restore_before_anything_else_is_stopped_and_verifying_finds_another(
    home: Path,
) -> None:
    testbed = Testbed.lay_out(home / "testbed", Posture(latency_ms=2, verify_backups=True))
    testbed.up(lambda *_: None)
    try:
        for number in range(40):
            httpx.put(f"{testbed.base}/writes/{number}").raise_for_status()
        settled = "SELECT count(*) FROM drill_writes WHERE at < clock_timestamp() - interval '2 s' AND number < 1000"
        wait_for(lambda: testbed.regions["east"].server.ask(settled) == [[40]], "records that count", timeout_s=10)
        first, second = backups.take(testbed), backups.take(testbed)
        kept = backups.of(testbed)
        assert isinstance(kept, keeping.LocalKept)
        assert b"PG_VERSION" not in testbed.backups.sealed(first.name).read_bytes()
        content = testbed.backups.open(first, tree := testbed.folder.root / "tree")
        wrong = content.model_copy(update={"facts": {**content.facts, keeping.ROWS: "7"}})
        with pytest.raises(DamagedError, match="of 7 records"):
            kept.proof(tree, wrong)
        with pytest.raises(LabStateError, match="no mistake"):
            restore_before_mistake(testbed)
        with current(testbed):
            testbed.prepared = True
            assert faults.back_up() == second.name, "in a surprise drill another backup would name it"
            assert faults.spoil_backup() == second.name
            faults.delete_by_mistake()
            with pytest.raises(DamagedError, match="was changed"):
                restore_before_mistake(testbed)
            assert testbed.answers(), "nothing was stopped for a restore that can't be"
            assert not testbed.paused
            alerts = faults.verify_backups()
        assert alerts[0] == f"{first.name} restores"
        assert "can't be restored" in alerts[1]
        assert [event.name for event in testbed.events][-2:] == ["backup verified", "alert"]
        done = restore_before_mistake(testbed)
        assert next(d for d in done if d.step == "open a backup").said.endswith(", verified")
        assert records_of(testbed) == list(range(40))
    finally:
        testbed.down()


def test_the_oldest_backups_go_with_what_only_they_needed_of_the_log(home: Path) -> None:
    testbed = Testbed.lay_out(home / "nothing-runs", Posture(backups_kept=2))
    pieces = [f"00000001000000000000000{number}" for number in range(1, 7)]
    for path in (tree := home / "tree", testbed.archive):
        path.mkdir(parents=True)
    for name in (*pieces, "00000002.history"):
        (testbed.archive / name).write_text("log")
    began = datetime(2026, 11, 27, 12, tzinfo=UTC)
    taken = [
        testbed.backups.take(tree, "database of east", ("database",), {}, began + timedelta(seconds=n), pieces[n + 1])
        for n in range(4)
    ]
    testbed.backups.verify(taken[1], lambda *_: None, home / "proof")
    assert backups.prune(testbed) == (taken[0].name,), "the one that is known to restore stays, whatever its age"
    assert sorted(p.name for p in testbed.archive.iterdir()) == [*pieces[2:], "00000002.history"]
    assert backups.prune(testbed) == ()
    testbed.backups.verify(taken[3], lambda *_: None, home / "proof")
    assert backups.prune(testbed) == (taken[1].name,)
    assert sorted(p.name for p in testbed.archive.iterdir()) == [*pieces[3:], "00000002.history"]
