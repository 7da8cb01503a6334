"""What a region's store of files is told, and what it says of itself: two files in the region's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from archlab.spec.base import Spec
from archlab.spec.regions import Copying, Part, RegionFiles

DESCRIPTION, STATE = "store.json", "files.json"
PLACE, SEEN = "files", "seen"
"""Folders: the files themselves; what the other region had when it was last looked at."""


M = TypeVar("M", bound=Spec)


class Description(Spec):
    """A region's store and how it finds the other one's."""

    region: str
    other: str
    primary: bool
    """Whether control writes here, and the other region takes it from here."""
    raised: bool = False
    """Whether it is about to take over in order: then everything comes at once."""
    port: int
    line: int
    """Port on which the line to the other store begins."""
    password: Path
    socket: Path
    orders: tuple[Path, Path]
    """Folders with the release feed and the manifest as control writes them."""
    database: Path
    """Control's."""
    bundle: Path
    """Folder of the policy bundle in force."""
    archive: Path
    key: Path
    copies: tuple[Copying, ...]

    def copying(self, part: Part) -> Copying:
        """How a part gets to the second region."""
        return next(copy for copy in self.copies if copy.part is part)


class Kept(Generic[M]):
    """A file that others replace and nobody changes; parsed again when it was replaced.

    Args:
        path: the file.
        kind: what it holds.
    """

    def __init__(self, path: Path, kind: type[M]) -> None:
        self._path, self._kind = path, kind
        self._last: tuple[tuple[int, int], M] | None = None

    def read(self) -> M:
        """As it stands.

        Raises:
            OSError: it is not there.
            ValueError: it holds something else.
        """
        status, last = self._path.stat(), self._last
        stamp = status.st_mtime_ns, status.st_ino
        if last is None or last[0] != stamp:
            last = self._last = stamp, self._kind.model_validate_json(self._path.read_bytes())
        return last[1]

    def found(self) -> M | None:
        """The same; None where there is none that can be read."""
        try:
            return self.read()
        except (OSError, ValueError):
            return None


def told(folder: Path) -> Kept[Description]:
    """What a region's store is to do."""
    return Kept(folder / DESCRIPTION, Description)


def state(folder: Path) -> RegionFiles:
    """What it last said of itself; empty before it ever ran."""
    try:
        return RegionFiles.model_validate_json((folder / STATE).read_bytes())
    except (OSError, ValidationError):
        return RegionFiles(region=folder.name)
