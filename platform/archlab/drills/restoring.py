"""The runbook of a restore: back to the moment before a mistake, from a base backup and the archived log."""

from __future__ import annotations

from datetime import datetime

from archlab.drills.region import Region
from archlab.drills.testbed import Testbed
from archlab.drills.waiting import wait
from archlab.errors import ArchlabError, LabStateError
from archlab.recovery.runbook import Done, Step, carry_out

RESTORE = "restore to a moment"


def restore_before_mistake(testbed: Testbed) -> tuple[Done, ...]:
    """The primary becomes what it was right before the mistake; what was written since is gone, and is counted as lost.

    Raises:
        LabStateError: there was no mistake, or there is no backup of before it.
    """
    primary, standby = testbed.regions[testbed.primary], testbed.other(testbed.primary)
    until = testbed.mistake_at
    if until is None or not primary.kept.all():
        raise LabStateError("There is nothing to go back to: no mistake is known, or no backup was made before it.")
    steps = (
        Step("pause", lambda: _pause(testbed)),
        Step("open a backup", lambda: _open(testbed, primary)),
        Step("stop writes", lambda: _stop_writes(testbed, primary, standby)),
        Step("archive", lambda: _archive(primary)),
        Step("restore", lambda: _restore(primary, until)),
        Step("take writes", lambda: _take_writes(testbed, primary)),
    )
    return carry_out(testbed.folder.root / "restore.json", RESTORE, steps, testbed.note)


def _pause(testbed: Testbed) -> str:
    testbed.paused = True
    return "nobody fails over by himself: the other region has the same mistake"


def _open(testbed: Testbed, primary: Region) -> str:
    """Before anything is stopped: when there is nothing to go back to, callers keep what they have."""
    try:
        backup = primary.kept.open()
    except ArchlabError:
        testbed.paused = False
        raise
    return f"{backup.name} of {backup.taken:%H:%M:%S}, {'verified' if backup.verified else 'never verified'}"


def _stop_writes(testbed: Testbed, primary: Region, standby: Region) -> str:
    for region in (primary, standby):
        region.end_service()
    # commits that wait for the standby would never end once it is gone
    testbed.let_writes_wait(primary, on=False)
    standby.fence_database("it has the mistake too, and has to follow what is restored")
    return "nothing reaches the databases"


def _archive(primary: Region) -> str:
    primary.kept.archive_now()
    return "everything up to now is in the archive"


def _restore(primary: Region, until: datetime) -> str:
    primary.stop_database()
    primary.kept.restore(until)
    return f"{primary.name} is what it was at {until:%H:%M:%S.%f}"


def _take_writes(testbed: Testbed, primary: Region) -> str:
    primary.start_service()
    wait(testbed.answers, "writes through the gateway", lambda: primary.words(f"service-{primary.name}"))
    testbed.paused = False
    return f"{primary.name} takes writes, with no standby"
