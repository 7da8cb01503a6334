"""Backups and restores of a real Postgres."""

from __future__ import annotations

import contextlib
import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.errors import ConflictError, LabStateError, NotFoundError, TargetError
from archlab.recovery import archive, server
from archlab.recovery.server import Server

pytestmark = pytest.mark.slow


@pytest.fixture
def archived(east: Server, place: Path) -> Server:
    """East, archiving to `archive` since before its base backup `backups/first`."""
    (place / "archive folder").mkdir()
    made = dataclasses.replace(east, settings={**east.settings, **archive.archiving(place / "archive folder", 60)})
    server.stop(east)
    server.configure(made)
    server.start(made)
    archive.base_backup(made, place / "backups" / "first")
    return made


def moment(of: Server) -> datetime:
    """The database's clock, between two commits."""
    ((now,),) = of.ask("SELECT clock_timestamp()")
    return now if isinstance(now, datetime) else datetime.now(UTC)


def write(to: Server, numbers: range) -> None:
    with to.connection() as connection:
        for number in numbers:
            connection.run("INSERT INTO written VALUES (:number)", number=number)


def numbers(of: Server) -> list[int]:
    return [row[0] for row in of.ask("SELECT number FROM written ORDER BY 1")]


def test_a_mistake_is_undone_to_the_moment_before_it(archived: Server, place: Path) -> None:
    write(archived, range(50))
    before = moment(archived)
    archived.ask("DELETE FROM written WHERE number < 40")
    write(archived, range(100, 110))
    archive.archive_now(archived, place / "archive folder")
    server.stop(archived)
    archive.restore(archived, place / "backups" / "first", place / "archive folder", before)
    assert numbers(archived) == list(range(50)), "all that was deleted is back, and what came after the mistake is gone"
    write(archived, range(200, 201))
    server.stop(archived)
    server.start(archived)
    assert archived.is_primary, "it starts as a plain primary from now on"
    assert len(numbers(archived)) == 51


def test_without_a_moment_all_that_was_archived_comes_back_in_an_empty_place(archived: Server, place: Path) -> None:
    write(archived, range(30))
    archive.archive_now(archived, place / "archive folder")
    write(archived, range(30, 35))
    server.kill(archived)
    other = dataclasses.replace(archived, name="west", folder=place / "west")
    archive.restore(other, place / "backups" / "first", place / "archive folder", None)
    try:
        assert numbers(other) == list(range(30)), "what was not archived yet is lost: the archive's interval is the RPO"
    finally:
        server.kill(other)


def test_a_moment_that_the_archive_does_not_reach_is_an_error_and_not_something_else(
    archived: Server, place: Path
) -> None:
    write(archived, range(3))
    archive.archive_now(archived, place / "archive folder")
    server.stop(archived)
    late = datetime.now(UTC) + timedelta(hours=1)
    with pytest.raises(TargetError) as caught:
        archive.restore(archived, place / "backups" / "first", place / "archive folder", late)
    assert any("recovery target" in line for line in caught.value.log_tail)


def test_a_damaged_backup_is_found_before_anything_is_replaced(archived: Server, place: Path) -> None:
    write(archived, range(5))
    (damaged,) = (place / "backups" / "first" / "global").glob("pg_control")
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(TargetError, match="pg_verifybackup") as caught:
        archive.verify(archived, place / "backups" / "first")
    assert "pg_control" in " ".join(caught.value.log_tail)
    server.stop(archived)
    with contextlib.suppress(TargetError):
        archive.restore(archived, place / "backups" / "first", place / "archive folder", None)
    server.start(archived)
    assert len(numbers(archived)) == 5


def test_what_no_backup_needs_any_more_goes_and_the_newer_one_restores_without_it(
    archived: Server, place: Path
) -> None:
    log = place / "archive folder"
    write(archived, range(10))
    archive.archive_now(archived, log)
    second = archive.base_backup(archived, place / "backups" / "second")
    write(archived, range(10, 20))
    archive.archive_now(archived, log)
    (log / "00000002.history").write_text("1\t0/2000000\tno recovery target specified\n")
    first_needed = archive.first_needed(second)
    assert archive.first_needed(place / "backups" / "first") < first_needed
    assert archive.forget_before(log, first_needed) >= 1
    (log / "00000002.history").unlink()  # it stayed
    left = sorted(p.name for p in log.iterdir())
    assert left
    assert left[0] >= first_needed
    assert archive.forget_before(log, first_needed) == 0
    server.stop(archived)
    archive.restore(archived, second, log, None)
    assert numbers(archived) == list(range(20))
    (second / "backup_label").unlink()
    with pytest.raises(TargetError, match="does not say which part of the log"):
        archive.first_needed(second)


def test_what_can_t_be_restored_says_so(archived: Server, place: Path) -> None:
    with pytest.raises(ConflictError, match="already"):
        archive.base_backup(archived, place / "backups" / "first")
    with pytest.raises(NotFoundError):
        archive.restore(archived, place / "backups" / "second", place / "archive folder", None)
    with pytest.raises(LabStateError, match="runs"):
        archive.restore(archived, place / "backups" / "first", place / "archive folder", None)
