"""The output of units and jobs: its end, and what follows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

_BLOCK = 64 * 1024
_PAUSE_S = 0.2


def tail(path: Path, lines: int) -> tuple[str, ...]:
    """The last lines of a file, newest last; nothing when there is none."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            data = b""
            while end > 0 and data.count(b"\n") <= lines:
                start = max(0, end - _BLOCK)
                file.seek(start)
                data, end = file.read(end - start) + data, start
    except OSError:
        return ()
    return tuple(data.decode(errors="replace").splitlines()[-lines:]) if lines > 0 else ()


def known(folder: Path) -> dict[str, Path]:
    """Every log of a lab by its name: `<unit>-<index>`, `job-<name>`, `supervisord`, `gateway-access`."""
    return {path.stem: path for path in sorted(folder.glob("*.log"))}


def is_replica(name: str, unit: str) -> bool:
    """Whether a log is that of one of a unit's replicas."""
    stem, _, index = name.rpartition("-")
    return stem == unit and index.isdigit()


def read(paths: Sequence[Path], lines: int, *, endless: bool) -> Iterator[str]:
    """The last lines of one or several logs, and with `endless` everything after; several are marked by name."""
    followed = [_Followed(path) for path in paths]
    for log in followed:
        mark = f"{log.path.stem}: " if len(followed) > 1 else ""
        yield from (mark + line for line in tail(log.path, lines))
    while endless:
        fresh = [(log, log.fresh()) for log in followed]
        for log, found in fresh:
            mark = f"{log.path.stem}: " if len(followed) > 1 else ""
            yield from (mark + line for line in found)
        if not any(found for _, found in fresh):
            time.sleep(_PAUSE_S)


class _Followed:
    """A log that is read as it grows; after a rotation its new file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position, self._identity, self._rest = _size(path), _identity(path), b""

    def fresh(self) -> list[str]:
        """Complete lines since the last call."""
        if _identity(self.path) != self._identity or _size(self.path) < self._position:
            self._position, self._identity, self._rest = 0, _identity(self.path), b""
        data = _read(self.path, self._position)
        self._position += len(data)
        *complete, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace") for line in complete]


def rotate(path: Path, limit_bytes: int) -> bool:
    """Rename a log that has grown past the limit to `.1`; whether that was done."""
    if _size(path) < limit_bytes:
        return False
    path.replace(path.with_name(path.name + ".1"))
    return True


def _read(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read(_BLOCK)
    except OSError:
        return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _identity(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
