"""Who decides where promotion is automatic: `python -m archlab.lab.watching`, outside both regions.

Asks for the registry through the gateway, as everybody does, and starts the failover after so many failures in a row.
While another command changes the lab nothing is counted: who hands a region over makes outages of his own. A failover
that may lose acknowledged writes is refused here too, and a person has to accept it.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archlab.errors import ArchlabError, ConflictError
from archlab.lab import regional
from archlab.lab.lab import Lab
from archlab.lab.lock import exclusive, is_held
from archlab.settings import LabFolder
from archlab.spec.regions import Part, Promotion, TierPosture

_log = logging.getLogger("archlab.watch")
CHECK_S = 2.0


@dataclass(slots=True)
class Counter:
    """Failures in a row, of something that was seen to work before."""

    needed: int = 1
    failures: int = 0
    worked: bool = False

    def count(self, *, fine: bool) -> bool:
        """Whether it is an outage by now."""
        self.worked = self.worked or fine
        self.failures = 0 if fine or not self.worked else self.failures + 1
        return self.failures >= self.needed


@dataclass(frozen=True, slots=True)
class Watch:
    """One lab's.

    Args:
        folder: the lab's.
        tier: how what is watched is prepared, as it is by now.
        asked: whether it answers.
        act: what follows from an outage.
    """

    folder: LabFolder
    tier: Callable[[], TierPosture]
    asked: Callable[[], bool]
    act: Callable[[], object]

    def run(self, ended: threading.Event) -> None:
        """Check until told to end."""
        counter = Counter()
        while not ended.is_set():
            began, tier = time.monotonic(), self.tier()
            counter.needed = tier.failures_to_detect
            if is_held(self.folder):
                counter.failures = 0
            elif counter.count(fine=self.asked()):
                _log.warning("%d checks in a row failed", counter.failures)
                if tier.promotion is Promotion.AUTOMATIC:
                    self._fail_over()
                counter.failures = 0
            ended.wait(max(0.0, tier.check_every_ms / 1000 - (time.monotonic() - began)))

    def _fail_over(self) -> None:
        try:
            with exclusive(self.folder, "dr failover, by itself"):
                self.act()
        except ConflictError as error:
            _log.warning("not failed over: %s %s", error.message, error.remedy)
        except ArchlabError as error:
            _log.error("the failover was broken off: %s %s", error.message, error.remedy)


def registry_answers(lab: Lab) -> bool:
    """Whether it does, through the gateway: only a primary's registry is asked there."""
    try:
        lab.registry().get("/registered-models/search?max_results=1", timeout_s=CHECK_S)
    except ArchlabError:
        return False
    return True


@contextmanager
def shown(path: Path) -> Iterator[None]:
    """A socket that says that somebody is there: each connection is taken and ended, so that none piles up."""
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def take() -> None:
            with suppress(OSError):
                while True:
                    listening.accept()[0].close()

        thread = threading.Thread(target=take, name="shown", daemon=True)
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(CHECK_S)


def main() -> None:
    """Run until SIGTERM or SIGINT; the socket only says that it runs."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    lab = Lab(LabFolder.from_environment())
    path = lab.folder.socket("watch-0")

    def progress(step: str, detail: str) -> None:
        _log.info("%s %s", step, detail)

    with shown(path):
        Watch(
            folder=lab.folder,
            tier=lambda: regional.regions(lab).of(Part.REGISTRY),
            asked=lambda: registry_answers(lab),
            act=lambda: regional.failover(lab, progress, by_itself=True),
        ).run(ended)


if __name__ == "__main__":
    main()
