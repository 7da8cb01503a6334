"""What experiments inject and undo: Chaos Toolkit's actions. They act on the testbed that is up."""

from __future__ import annotations

import re
import time
from datetime import datetime

from archlab.drills import backups
from archlab.drills.failover import failback as bring_back
from archlab.drills.measure import DECIDED, DETECTED
from archlab.drills.models import WRONG, Models, serves
from archlab.drills.region import REGIONS
from archlab.drills.restoring import restore_before_mistake
from archlab.drills.testbed import inference, the_testbed
from archlab.drills.waiting import wait
from archlab.errors import LabStateError, UnavailableError
from archlab.spec.drill import Recovery
from archlab.targets.logs import tail

ALERT = "alert"
PAUSE_S = 0.1
DELETE = (
    "WITH gone AS (DELETE FROM drill_writes WHERE number % 2 = 0 RETURNING number) SELECT count(*)::bigint FROM gone"
)


def kill_region(region: str) -> None:
    """A region loses its power: everything in it dies at once, and what was on its lines is gone."""
    testbed = the_testbed()
    strike = testbed.regions[region].aim()
    testbed.inject(f"{region} is killed", strike.detail)
    testbed.shape(testbed.usual.model_copy(update={"cut": True}), drop=True)
    strike.act()


def kill_database(region: str) -> None:
    """Only the region's database dies; service and lines stay."""
    testbed = the_testbed()
    strike = testbed.regions[region].aim_at_database()
    testbed.inject(f"database of {region} is killed", strike.detail)
    strike.act()


def hang_region(region: str) -> None:
    """Everything in a region stops where it is, and keeps its connections."""
    testbed = the_testbed()
    strike = testbed.regions[region].aim_to_hang()
    testbed.inject(f"{region} hangs", strike.detail)
    strike.act()


def partition() -> None:
    """The regions hear nothing of each other; callers reach both."""
    testbed = the_testbed()
    testbed.inject("the regions are cut off from each other", "nothing crosses their links")
    testbed.shape(testbed.usual.model_copy(update={"cut": True}))


def back_up() -> str:
    """A backup that a restore begins with, unless one is there already."""
    testbed = the_testbed()
    if testbed.prepared:
        return backups.of(testbed).all()[-1].name
    made = backups.take(testbed)
    testbed.note("backup", f"{made.name}: {made.size_bytes / 2**20:.0f} MB, checked against its manifest, encrypted")
    if gone := backups.prune(testbed):
        testbed.note("backup deleted", f"{', '.join(gone)}: {testbed.posture.backups_kept} are kept")
    return made.name


def spoil_backup() -> str:
    """The newest backup loses a bit; nobody notices."""
    testbed = the_testbed()
    newest = backups.of(testbed).spoil()
    testbed.note("a backup is damaged", f"a bit of {newest.name}, unnoticed")
    return newest.name


def verify_backups() -> list[str]:
    """Every backup is restored into a place of its own and compared, where the posture says so."""
    testbed = the_testbed()
    if not testbed.posture.verify_backups:
        return ["nobody verifies backups"]
    found = backups.verify(testbed)
    for backup, alert in found:
        testbed.note(ALERT if alert else "backup verified", alert or backup.name)
    return [alert or f"{backup.name} restores" for backup, alert in found]


def delete_by_mistake() -> int:
    """Somebody deletes every second record; the other region does the same a moment later."""
    testbed = the_testbed()
    server = testbed.regions[testbed.primary].server
    testbed.inject("every second record is deleted", "in both regions: replication is no backup")
    # later than the fault on the probe's clock: what was acknowledged before that was committed before this
    ((now,),) = server.ask("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
    testbed.mistake_at = datetime.fromisoformat(f"{now}+00:00")
    ((gone,),) = server.ask(DELETE)
    return int(gone)


def restore() -> list[str]:
    """Somebody noticed: back to the moment before.

    Raises:
        UnavailableError: it was left to people, and they did not order it in time.
    """
    testbed = the_testbed()
    recovery, patience_s = testbed.posture.recovery, testbed.posture.patience_s
    if recovery is Recovery.NONE:
        return ["nobody restores anything"]
    if recovery is Recovery.MANUAL:
        if testbed.restored.wait(patience_s):
            return ["restored by hand"]
        raise UnavailableError(f"Nobody ordered a restore in {patience_s:g} s.")
    testbed.note(DETECTED, "somebody misses records")
    testbed.note(DECIDED, "restore to the moment before they went")
    return [f"{done.step}: {done.said} ({done.seconds:.2f} s)" for done in restore_before_mistake(testbed)]


def release_a_bad_model() -> str:
    """A version that answers as quickly as the one before, and wrongly; signed and allowed like any other."""
    testbed, models = the_testbed(), _models()
    testbed.inject("a bad release", "its answers are wrong, and come as quickly")
    return models.release(WRONG).id


def corrupt_model(region: str) -> str:
    """A bit of the served version's file flips in one region, whose server is then restarted."""
    testbed, models = the_testbed(), _models()
    models.damage(region)
    testbed.inject(f"the model's file in {region} is corrupt", "one bit; the server is restarted and has to read it")
    testbed.end(inference(region))
    testbed.start_models(region)
    return models.released[-1].sha256


def refused_by_digest(region: str, within_s: float) -> bool:
    """Whether the region's server says in time that it does not load the file."""
    testbed = the_testbed()
    log, deadline = testbed.folder.log / f"{inference(region)}.log", time.monotonic() + within_s
    while time.monotonic() < deadline:
        if said := next((line for line in tail(log, 50) if "refused (digest)" in line), ""):
            told = re.sub(r": /\S+: ", ": ", said[said.index("release") :])
            testbed.note("artifact refused", f"{region}: {told}")
            return True
        time.sleep(PAUSE_S)
    return False


def restore_models() -> str:
    """Every region has the first version's whole file, and serves it."""
    testbed, models = the_testbed(), _models()
    while len(models.released) > 1:
        models.roll_back()
    models.mend()
    first = REGIONS[0]
    wait(
        lambda: testbed.predictions_right() and serves(models.regions[first]),
        "a model in both regions",
        lambda: testbed.words(inference(first)),
    )
    testbed.note("models restored", f"version {models.released[-1].version} in both regions")
    return models.released[-1].id


def _models() -> Models:
    if (models := the_testbed().models) is None:
        raise LabStateError("There is no model in these regions.")
    return models


def pause(seconds: float) -> None:
    """Nothing, for a while."""
    time.sleep(seconds)


def failback() -> list[str]:
    """Whatever was done to either region, the first one is primary again and the second follows."""
    testbed = the_testbed()
    return [f"{done.step}: {done.said} ({done.seconds:.2f} s)" for done in bring_back(testbed)]
