"""The gradebook: append-only JSON lines, each chained to the one before by hash, safe against a kill at any moment."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from archlab.errors import SpecError
from archlab.grading.canonical import canonical, digest
from archlab.spec.grading import Attempt, Forecast, GradebookEntry, HintUse

GENESIS = "0" * 64
Entry = Attempt | HintUse | Forecast
E = TypeVar("E", Attempt, HintUse, Forecast)
_ADAPTER: TypeAdapter[Entry] = TypeAdapter(GradebookEntry)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the chain holds."""

    entries: int
    head: str
    """Hash of the last good entry; note it down to notice later changes."""
    fault: str = ""
    """Where and how the chain breaks; empty when it holds."""
    torn: str = ""
    """A last line that was never finished (a kill while writing); harmless."""


def _now() -> datetime:
    return datetime.now(UTC)


class Gradebook:
    """One lab's gradebook file.

    Args:
        path: `gradebook.jsonl`; made at the first entry.
        now: the wall clock.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = _now) -> None:
        self.path = path
        self._now = now

    def entries(self) -> tuple[Entry, ...]:
        """Everything recorded, oldest first.

        Raises:
            SpecError: the chain is broken; names the line.
        """
        entries, check = self._read()
        if check.fault:
            raise SpecError(
                f"{self.path}: {check.fault}",
                "Move the file away to start a new one; `archlab gradebook verify` shows what still holds.",
            )
        return entries

    def verify(self) -> Verification:
        """Check every link."""
        return self._read()[1]

    def append(self, kind: type[E], **fields: Any) -> E:
        """Add an entry; it is on the disk when this returns. Sequence, time and hashes are filled in."""
        with self._locked() as file:
            self._set_torn_aside(file.fileno())
            entries = self.entries()
            body = {
                **fields,
                "sequence": len(entries) + 1,
                "wall_time": self._now(),
                "previous": entries[-1].hash if entries else GENESIS,
            }
            unsigned = kind.model_validate({**body, "hash": GENESIS})
            entry = unsigned.model_copy(update={"hash": entry_hash(unsigned)})
            file.write(canonical(entry.model_dump(mode="json")) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return entry

    def set_aside(self) -> Path | None:
        """Move an unfinished last line into a file of its own; that file, if there was one."""
        if not self.path.exists():
            return None
        with self._locked() as file:
            return self._set_torn_aside(file.fileno())

    @contextmanager
    def _locked(self) -> Iterator[Any]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _set_torn_aside(self, descriptor: int) -> Path | None:
        _, check = self._read()
        if not check.torn:
            return None
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        aside = self.path.with_name(f"{self.path.stem}.torn-{whole}.txt")
        aside.write_bytes(data[whole:])
        os.truncate(descriptor, whole)
        os.fsync(descriptor)
        return aside

    def _read(self) -> tuple[tuple[Entry, ...], Verification]:
        data = self.path.read_bytes() if self.path.exists() else b""
        *lines, last = data.split(b"\n")
        entries: list[Entry] = []
        head, fault = GENESIS, ""
        for number, line in enumerate(lines, 1):
            entry, fault = _link(line, number, head)
            if entry is None:
                break
            entries.append(entry)
            head = entry.hash
        torn = f"{len(last)} bytes of an entry that was never finished" if last and not fault else ""
        return tuple(entries), Verification(len(entries), head, fault, torn)


def entry_hash(entry: Entry) -> str:
    """SHA-256 over every other field of an entry."""
    return digest(entry.model_dump(mode="json", exclude={"hash"}))


def _link(line: bytes, number: int, previous: str) -> tuple[Entry | None, str]:
    """The entry of a line, or why the chain breaks there."""
    try:
        entry = _ADAPTER.validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        return None, f"line {number} can't be read: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}."
    if entry.sequence != number:
        return None, f"line {number} carries sequence {entry.sequence}: a line was added or removed."
    if entry.previous != previous:
        return None, f"line {number} does not follow line {number - 1}: a line was changed, added or removed."
    if entry.hash != entry_hash(entry):
        return None, f"line {number} was changed after it was written."
    return entry, ""
