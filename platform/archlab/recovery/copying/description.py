"""What a region's store of files is told, and what it says of itself: two files in the region's folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from archlab.spec.base import Spec
from archlab.spec.regions import Copying, Part, RegionFiles

DESCRIPTION, STATE = "store.json", "files.json"
PLACE, SEEN = "files", "seen"
"""Folders: the files themselves; what the other region had when it was last looked at."""


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


class Told:
    """What a region's store is to do; parsed again when it was written anew.

    Args:
        folder: the region's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / DESCRIPTION
        self._last: tuple[tuple[int, int], Description] | None = None

    def now(self) -> Description:
        """As it stands.

        Raises:
            OSError: it is not there.
            ValueError: it is none.
        """
        status = self._path.stat()
        # it is replaced and never changed
        stamp, last = (status.st_mtime_ns, status.st_ino), self._last
        if last is None or last[0] != stamp:
            last = self._last = stamp, Description.model_validate_json(self._path.read_bytes())
        return last[1]


def state(folder: Path) -> RegionFiles:
    """What it last said of itself; empty before it ever ran."""
    try:
        return RegionFiles.model_validate_json((folder / STATE).read_bytes())
    except (OSError, ValidationError):
        return RegionFiles(region=folder.name)
