"""One part of a region's files, kept like the other region's: what is lacking is taken, what went there goes here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from archlab.files import write_model
from archlab.recovery.copying.catalogue import Catalogue, Entry, Listing, below
from archlab.recovery.copying.fetching import Source
from archlab.spec.regions import Part, PartCopy


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
        self._path = seen / f"{part.value}.json"
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
        """What the other region had when it was last looked at, and has no longer. What it never had stays here."""
        there, kept = listing.by_path, self._protected()
        for path in self._seen() - there.keys() - kept:
            below(self._catalogue.root, path).unlink(missing_ok=True)
        write_model(self._path, listing)

    def _seen(self) -> set[str]:
        try:
            return set(Listing.model_validate_json(self._path.read_bytes()).by_path)
        except (OSError, ValidationError):
            return set()

    def _noted(self, copy: PartCopy, **changed: object) -> PartCopy:
        made = copy.model_copy(update=changed)
        self._note(made)
        return made
