"""The runbook of a bad release: the version before is served again, and answers are right again."""

from __future__ import annotations

from archlab.drills.testbed import Testbed
from archlab.drills.waiting import wait
from archlab.errors import LabStateError
from archlab.recovery.runbook import Done, Step, carry_out
from archlab.targets.logs import tail

ROLLBACK = "roll a release back"


def roll_back(testbed: Testbed) -> tuple[Done, ...]:
    """Serve the version before, in both regions.

    Raises:
        LabStateError: there is no model, or no version before.
        TargetError: answers are not right again in time.
    """
    models = testbed.models
    if models is None or len(models.released) < 2:
        raise LabStateError("There is no release to roll back.")
    bad = models.released[-1]

    def publish() -> str:
        if models.released[-1] == bad:
            models.roll_back()
        return f"version {models.released[-1].version} is in the feed of both regions again"

    def served() -> str:
        log = testbed.folder.log / "models-east.log"
        wait(testbed.predictions_right, "right answers", lambda: tail(log, 15))
        return f"version {models.released[-1].version} answers"

    steps = (Step("roll back", publish), Step("served again", served))
    return carry_out(testbed.folder.root / "rollback.json", ROLLBACK, steps, testbed.note)
