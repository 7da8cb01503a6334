"""A region's store of files: `python -m archlab.recovery.copying.program FOLDER`, behind the region's fence.

In the primary's region it hands files out, writes control's records down, and archives parts that have no second copy.
In the other one it takes what the primary's has, at the pace of each part's posture, and follows control's orders as
far as their files have arrived. What it is to do lies in `FOLDER/store.json`, and is read again in every round.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from archlab.errors import ArchlabError, LabStateError, UnavailableError
from archlab.files import write_model
from archlab.recovery.copying import arrivals, service
from archlab.recovery.copying.archiving import Archive
from archlab.recovery.copying.catalogue import SNAPSHOTS, Catalogue, Listing, below
from archlab.recovery.copying.description import PLACE, SEEN, STATE, Description, state, told
from archlab.recovery.copying.exporting import TABLES, Records
from archlab.recovery.copying.fetching import Source
from archlab.recovery.copying.following import Follower
from archlab.spec.regions import FILES, Copying, Part, PartCopy, RegionFiles

ORDERS_S, EXPORT_S, WAIT_S, RETRY_S, LOOK_S = 0.05, 0.5, 5.0, 0.5, 0.2

_log = logging.getLogger("archlab.store")


class Store:
    """One region's.

    Args:
        folder: the region's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / PLACE
        self.catalogue = Catalogue(self.root)
        self.ended = threading.Event()
        self._told = told(folder)
        found, known = self._told.read(), state(folder)
        self._records = Records(found.database, found.bundle, self.root)
        self._archives = {part: Archive(found.archive, found.key, part) for part in FILES}
        self._followers = {part: self._follower(part) for part in FILES}
        self._known = {
            (part, archived): known.of(part, archived=archived) for part in FILES for archived in (False, True)
        }
        self._lock = threading.Lock()
        self._rounds = {part: threading.Lock() for part in FILES}
        self._digests = dict.fromkeys(FILES, "")

    def run(self) -> None:
        """Until it is told to end."""
        found = self._told.read()
        service.serve(service.Service(self.hand_out, self.root, found.port, found.password))
        service.serve(service.LocalService(self.hand_out, self.root, found.socket, self.copy))
        work = [threading.Thread(target=self._keep, args=(part,), daemon=True) for part in FILES]
        work.append(threading.Thread(target=self._follow_orders, daemon=True))
        for thread in work:
            thread.start()
        self.ended.wait()

    def hand_out(self, part: Part) -> Listing:
        """What the other region may take.

        Raises:
            LabStateError: this is not the primary's region: it may be about to give up what nobody keeps up to date.
        """
        listing = self._followers[part].handed_out()
        if not self._told.read().primary:
            raise LabStateError(f"{self.folder.name} is not primary.")
        return listing

    def copy(self, part: Part) -> PartCopy:
        """Take a part from the other region now.

        Raises:
            LabStateError: this is the primary's region.
            UnavailableError: the other region does not answer.
        """
        with self._rounds[part]:
            found = self._told.read()
        if found.primary:
            raise LabStateError(f"{found.region} is primary: others take from it.")
        self._digests[part] = ""
        made = self._take(part, found, 0.0)
        self._obey(found)
        return made

    def _follower(self, part: Part) -> Follower:
        seen = self.folder / SEEN
        return Follower(part, self.catalogue, seen, self._named, lambda copy: self._note(copy, archived=False))

    def _named(self) -> frozenset[str]:
        """Files that servers here were told of: they stay."""
        manifest = arrivals.manifest(self.root / SNAPSHOTS)
        return frozenset(f"{SNAPSHOTS}/{view.path}" for view in manifest.views) if manifest else frozenset()

    def _keep(self, part: Part) -> None:
        """What a part needs, for ever."""
        due = 0.0
        while not self.ended.is_set():
            pause = LOOK_S
            try:
                found = self._told.read()
                copying = found.copying(part)
                if found.primary:
                    due = self._serve(part, found, copying, due)
                    pause = EXPORT_S
                elif found.raised or copying.at_once:
                    self._take(part, found, WAIT_S)
                    pause = 0.0
                elif copying.archived:
                    self._give_up(part)
                elif time.monotonic() >= due:
                    due = time.monotonic() + copying.every_s
                    self._take(part, found, 0.0)
            except (ArchlabError, OSError, ValueError) as error:
                self._fail(part, error)
                pause = RETRY_S
            self.ended.wait(pause)

    def _serve(self, part: Part, found: Description, copying: Copying, due: float) -> float:
        """In the primary's region; when the next archive is due."""
        if part in TABLES:
            self._records.export(part)
        mine = self._followers[part].here(self._known[part, False])
        self._note(mine.model_copy(update={"missing": 0, "error": ""}), archived=False)
        if not copying.archived or time.monotonic() < due:
            return due
        known, began = self._known[part, True], datetime.now(UTC)
        took = self._archives[part].take(found.region, self.catalogue, copying.keep)
        apart = (began - known.complete_at).total_seconds() if known.complete_at else 0.0
        done = {
            "copied_bytes": known.copied_bytes + took,
            "records": self._known[part, False].records,
            "complete_at": began,
            "worst_lag_s": round(max(known.worst_lag_s, apart), 3),
        }
        self._note(self._archives[part].standing(known).model_copy(update=done), archived=True)
        return time.monotonic() + copying.every_s

    def _take(self, part: Part, found: Description, wait_s: float) -> PartCopy:
        """What the other region has; with a wait nothing is done as long as it has what it had."""
        source, follower = Source(found.other, found.line, found.password), self._followers[part]
        have = self._digests[part]
        if wait_s and have and not source.changed(part, have, wait_s):
            return follower.unchanged(self._known[part, False])
        with self._rounds[part]:
            made, self._digests[part] = follower.follow(source, self._known[part, False], self._follows)
        if part is Part.FEATURES:
            self._obey(found)
        return made

    def _follows(self) -> bool:
        return not self._told.read().primary

    def _give_up(self, part: Part) -> None:
        """What nobody keeps up to date is no copy: it would look like one, and be paid for."""
        with self._rounds[part]:
            found = self._told.read()
            if found.primary or found.raised or not found.copying(part).archived:
                return
            self._followers[part].forget()
            for entry in self.catalogue.listing(part).entries:
                below(self.root, entry.path).unlink(missing_ok=True)
            self._note(PartCopy(part=part), archived=False)
        self._digests[part] = ""

    def _fail(self, part: Part, error: Exception) -> None:
        said = error.message if isinstance(error, ArchlabError) else f"{type(error).__name__}: {error}"
        before = self._known[part, False]
        if before.error != said:
            _log.warning("%s: %s", part.value, said)
            self._note(before.model_copy(update={"error": said}), archived=False)

    def _note(self, copy: PartCopy, *, archived: bool) -> None:
        with self._lock:
            if self._known[copy.part, archived] == copy:
                return
            self._known[copy.part, archived] = copy
            here = tuple(self._known[part, False] for part in FILES)
            kept = tuple(self._known[part, True] for part in FILES)
            write_model(self.folder / STATE, RegionFiles(region=self.folder.name, here=here, archive=kept))

    def _follow_orders(self) -> None:
        """Control's orders reach every region at once: they are few bytes, and control stands outside both."""
        seen: tuple[int, ...] = ()
        while not self.ended.wait(ORDERS_S):
            with suppress(OSError, ValueError, ArchlabError):
                found = self._told.read()
                now = arrivals.stamp(found.orders)
                if not found.primary and now != seen:
                    self._obey(found)
                    seen = now

    def _obey(self, found: Description) -> None:
        with self._lock:
            arrivals.obey(self.root, found.orders)


def main(arguments: list[str]) -> None:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    store = Store(Path(arguments[0]))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: store.ended.set())
    store.run()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UnavailableError as error:
        print(error.message, file=sys.stderr)  # noqa: T201 a unit's log
        raise SystemExit(1) from None
