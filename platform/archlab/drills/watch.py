"""Who notices an outage and decides: the platform's own check, and the failover that follows unless people decide."""

from __future__ import annotations

import threading
import time

from archlab.drills.failover import failover
from archlab.drills.measure import DECIDED, DETECTED
from archlab.drills.policy import restart_engine
from archlab.drills.rollback import roll_back
from archlab.drills.testbed import CHECK_S, Testbed
from archlab.errors import ArchlabError
from archlab.spec.drill import Recovery


class Watch:
    """Checks the service through the gateway; after so many failures in a row it fails over, once, or only notes it."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")

    def start(self) -> None:
        """Check from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Check no more; returns when a failover that is under way is done."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        posture, failures = self._testbed.posture, 0
        while not self._ended.is_set():
            began = time.monotonic()
            fine = self._testbed.paused or self._fine()
            failures = 0 if fine else failures + 1
            if failures >= posture.failures_to_detect and not self._ended.is_set():
                self._act(failures)
                return
            self._ended.wait(max(0.0, posture.check_every_ms / 1000 - (time.monotonic() - began)))

    def _fine(self) -> bool:
        testbed = self._testbed
        if testbed.control is not None:
            return testbed.control.engine_answers(CHECK_S)
        if testbed.models is None:
            return testbed.answers()
        # a check that looks at status and latency alone is content with any answer
        return testbed.predictions_right() if testbed.posture.check_content else testbed.predictions_come()

    def _act(self, failures: int) -> None:
        self._testbed.note(DETECTED, f"{failures} checks in a row failed")
        if self._testbed.posture.recovery is not Recovery.AUTOMATIC:
            return
        self._testbed.note(DECIDED, "automatically")
        try:
            if self._testbed.control:
                restart_engine(self._testbed)
            elif self._testbed.models:
                roll_back(self._testbed)
            else:
                failover(self._testbed, accept_data_loss=self._testbed.posture.accept_data_loss)
        except ArchlabError as error:
            self._testbed.note("refused", str(error))
