"""The runbook of a restore: back to the moment before a mistake, from a base backup and the archived log."""

from __future__ import annotations

import shutil
from pathlib import Path

from archlab.drills.region import Region
from archlab.drills.testbed import Testbed, wait
from archlab.errors import ArchlabError, LabStateError
from archlab.recovery import archive, server
from archlab.recovery.runbook import Done, Step, carry_out
from archlab.targets.logs import tail

RESTORE = "restore to a moment"


def restore_before_mistake(testbed: Testbed) -> tuple[Done, ...]:
    """The primary becomes what it was right before the mistake; what was written since is gone, and is counted as lost.

    Raises:
        LabStateError: there was no mistake, or there is no backup of before it.
    """
    if testbed.mistake_at is None or not testbed.backups.all():
        raise LabStateError("There is nothing to go back to: no mistake is known, or no backup was made before it.")
    primary, standby = testbed.regions[testbed.primary], testbed.other(testbed.primary)
    steps = (
        Step("pause", lambda: _pause(testbed)),
        Step("open a backup", lambda: _open(testbed)),
        Step("stop writes", lambda: _stop_writes(testbed, primary, standby)),
        Step("archive", lambda: _archive(testbed, primary)),
        Step("restore", lambda: _restore(testbed, primary)),
        Step("take writes", lambda: _take_writes(testbed, primary)),
    )
    return carry_out(testbed.folder.root / "restore.json", RESTORE, steps, testbed.note)


def _pause(testbed: Testbed) -> str:
    testbed.paused = True
    return "nobody fails over by himself: the other region has the same mistake"


def _open(testbed: Testbed) -> str:
    """Before anything is stopped: when there is nothing to go back to, callers keep what they have."""
    backup, into = testbed.backups.usable(), _opened(testbed)
    shutil.rmtree(into, ignore_errors=True)
    try:
        testbed.backups.open(backup, into)
    except ArchlabError:
        testbed.paused = False
        raise
    return f"{backup.name} of {backup.taken:%H:%M:%S}, {'verified' if backup.verified else 'never verified'}"


def _opened(testbed: Testbed) -> Path:
    return testbed.folder.root / "opened-to-restore"


def _stop_writes(testbed: Testbed, primary: Region, standby: Region) -> str:
    for region in (primary, standby):
        testbed.end(region.service)
    # commits that wait for the standby would never end once it is gone
    testbed.let_writes_wait(primary, on=False)
    server.fence(standby.server, "it has the mistake too, and has to follow what is restored")
    return "nothing reaches the databases"


def _archive(testbed: Testbed, primary: Region) -> str:
    archive.archive_now(primary.server, testbed.archive)
    return "everything up to now is in the archive"


def _restore(testbed: Testbed, primary: Region) -> str:
    server.stop(primary.server)
    env = testbed.environment(f"database-{primary.name}")
    archive.restore(primary.server, _opened(testbed), testbed.archive, testbed.mistake_at, env)
    return f"{primary.name} is what it was at {testbed.mistake_at:%H:%M:%S.%f}"


def _take_writes(testbed: Testbed, primary: Region) -> str:
    testbed.start_service(primary)
    wait(testbed.answers, "writes through the gateway", lambda: tail(testbed.folder.log / f"{primary.service}.log", 15))
    testbed.paused = False
    return f"{primary.name} takes writes, with no standby"
