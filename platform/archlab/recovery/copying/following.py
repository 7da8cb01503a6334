"""One part of a region's files, kept like the other region's: what is lacking is taken, what went there goes here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from archlab.files import write_model
from archlab.recovery.copying.catalogue import Catalogue, Entry, Listing, below
from archlab.recovery.copying.description import Kept
from archlab.recovery.copying.fetching import Source
from archlab.spec.regions import Part, PartCopy


def seen_of(folder: Path, part: Part) -> Path:
    """Where it is kept what the other region had of a part."""
    return folder / f"{part.value}.json"


def remember(path: Path, listing: Listing) -> None:
    """Keep what the other region had, or had at most."""
    write_model(path, Listing(entries=listing.entries))


class Follower:
    """A part that follows.

    Args:
        part: which.
        catalogue: of the files here.
        seen: folder in which it is kept what the other region had last.
        protected: paths that stay whatever happened there.
        note: told of every change of what is known.
    """

    def __init__(
        self,
        part: Part,
        catalogue: Catalogue,
        seen: Path,
        protected: Callable[[], frozenset[str]],
        note: Callable[[PartCopy], None],
    ) -> None:
        self.part = part
        self._catalogue = catalogue
        self._path = seen_of(seen, part)
        self._seen = Kept(self._path, Listing)
        self._out: tuple[Listing, Listing | None, Listing] | None = None
        self._protected = protected
        self._note = note

    def follow(self, source: Source, copy: PartCopy, still: Callable[[], bool]) -> tuple[PartCopy, str]:
        """One round: what is known then, and the digest of what the other region had.

        Args:
            source: the other region's files.
            copy: what was known before.
            still: whether this region still follows; asked before anything is let go.

        Raises:
            UnavailableError: the other region does not answer; what came stays.
        """
        listing = source.listing(self.part)
        lacking = self._lacking(listing)
        copy = self._noted(self.here(copy), missing=len(lacking))
        for entry in lacking:
            came = source.fetch(entry, self._catalogue.root)
            copy = self._noted(copy, copied_bytes=copy.copied_bytes + came, missing=copy.missing - 1)
        if still():
            self._let_go(listing)
        return self._arrived(self.here(copy), lacking), listing.digest

    def unchanged(self, copy: PartCopy) -> PartCopy:
        """The other region still has what it had."""
        return self._noted(self.here(copy), complete_at=datetime.now(UTC), error="")

    def handed_out(self) -> Listing:
        """What lies here, and what the other region had when it was last followed and was deleted here since.

        Without the latter a region that comes back would bring deleted files along: it never saw them go.
        """
        mine, had = self._catalogue.listing(self.part), self._seen.found()
        if self._out is None or self._out[0] is not mine or self._out[1] is not had:
            gone = tuple(entry for entry in had.entries if entry.path not in mine.by_path) if had else ()
            self._out = mine, had, mine.model_copy(update={"gone": gone})
        return self._out[2]

    def forget(self) -> None:
        """What is let go from now on is no deletion: nobody keeps this part up to date here."""
        self._path.unlink(missing_ok=True)

    def here(self, copy: PartCopy) -> PartCopy:
        """The same with what lies here now."""
        entries = self._catalogue.listing(self.part).entries
        here = {
            "files": len(entries),
            "size_bytes": sum(e.size_bytes for e in entries),
            "records": sum(e.records for e in entries),
        }
        return copy.model_copy(update=here)

    def _lacking(self, listing: Listing) -> list[Entry]:
        mine = self._catalogue.listing(self.part).by_path
        return [e for e in listing.entries if e.path not in mine or mine[e.path].sha256 != e.sha256]

    def _arrived(self, copy: PartCopy, came: Iterable[Entry]) -> PartCopy:
        now = datetime.now(UTC)
        # what was there before anything was ever copied is no measure of how far a copy lags
        late = [now.timestamp() - e.written for e in came if copy.complete_at]
        lag = max(late, default=copy.lag_s)
        return self._noted(
            copy,
            complete_at=now,
            missing=0,
            error="",
            lag_s=round(lag, 3),
            worst_lag_s=round(max(lag, copy.worst_lag_s), 3),
        )

    def _let_go(self, listing: Listing) -> None:
        """What the other region had when it was last looked at or took over, and has no longer.

        What it never had stays here, and what is another file here than the one that was deleted there.
        """
        mine, had = self._catalogue.listing(self.part).by_path, self._seen.found()
        deleted = {e.path for e in listing.gone if e.path in mine and mine[e.path].sha256 == e.sha256}
        doomed = deleted | (had.by_path.keys() if had else set())
        for path in doomed - listing.by_path.keys() - self._protected():
            below(self._catalogue.root, path).unlink(missing_ok=True)
        remember(self._path, listing)

    def _noted(self, copy: PartCopy, **changed: object) -> PartCopy:
        made = copy.model_copy(update=changed)
        self._note(made)
        return made
