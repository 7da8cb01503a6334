"""The gradebook: append-only JSON lines, chained by hash and signed, safe against a kill at any moment.

Tamper-evident, not cheat-proof: whoever holds the lab's key can write another book. What they can't do is make it agree
with a head that someone else noted.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from archlab.errors import SpecError
from archlab.grading import moments
from archlab.grading.canonical import canonical, digest
from archlab.grading.signing import SigningKey, verifies
from archlab.spec.gradebook import (
    Attempt,
    Entry,
    ExamAnswered,
    ExamClock,
    ExamFinished,
    ExamStarted,
    Forecast,
    GradebookEntry,
    HintUse,
)

GENESIS = "0" * 64
E = TypeVar("E", Attempt, HintUse, Forecast, ExamStarted, ExamAnswered, ExamClock, ExamFinished)
_ADAPTER: TypeAdapter[Entry] = TypeAdapter(GradebookEntry)
_EARLIER = (b'"format":"archlab/attempt/v1"', b'"format":"archlab/hint/v1"', b'"format":"archlab/forecast/v1"')


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether chain and signatures hold."""

    entries: int
    head: str
    """Hash of the last good entry; note it down to notice later changes."""
    key: str
    """Who signed; empty while there is no entry."""
    fault: str = ""
    """Where and how the chain breaks; empty when it holds."""
    torn: str = ""
    """A last line that was never finished (a kill while writing); harmless."""


@dataclass(frozen=True, slots=True)
class Writing:
    """The gradebook while it is locked: nobody else can add a line between a look and an `append`."""

    entries: list[Entry]
    _book: Gradebook
    _descriptor: int

    def append(self, kind: type[E], **fields: Any) -> E:
        """Add an entry; it is on the disk when this returns. Sequence, time, hashes and signature are filled in."""
        entry = self._book.signed(kind, self.entries[-1] if self.entries else None, fields)
        line = canonical(entry.model_dump(mode="json")) + b"\n"
        if os.write(self._descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._book.path))
        os.fsync(self._descriptor)
        self.entries.append(entry)
        return entry


class Gradebook:
    """One lab's gradebook file.

    Args:
        path: `gradebook.jsonl`; made at the first entry.
        key: file of the lab's gradebook key; made at the first entry.
        now: both clocks.
    """

    def __init__(self, path: Path, key: Path, now: moments.Now = moments.now) -> None:
        self.path = path
        self._key_file = key
        self._now = now
        self._known: tuple[bytes, tuple[Entry, ...], Verification] | None = None

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
        """Check every link and signature."""
        return self._read()[1]

    def append(self, kind: type[E], **fields: Any) -> E:
        """Add one entry."""
        with self.writing() as book:
            return book.append(kind, **fields)

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Hold the gradebook: decide by what it says, then append, with nobody between."""
        with self._locked() as descriptor:
            self._set_torn_aside(descriptor)
            yield Writing(list(self.entries()), self, descriptor)

    def now(self) -> moments.Moment:
        """This moment, as the next entry would tell it."""
        return self._now()

    def signed(self, kind: type[E], last: Entry | None, fields: dict[str, Any]) -> E:
        """The entry that follows `last`.

        Raises:
            SpecError: the key that signed the lines before is gone; a new one would break the chain.
        """
        if last and not self._key_file.exists():
            raise SpecError(
                f"{self._key_file} is gone, and with it the key that signed {self.path}.",
                "Put the key back, or move the gradebook away to start a new one.",
            )
        key, moment = SigningKey.of_file(self._key_file), self._now()
        body = {
            **fields,
            "sequence": last.sequence + 1 if last else 1,
            "wall_time": moment.wall_time,
            "boot": moment.boot,
            "uptime_ms": moment.uptime_ms,
            "previous": last.hash if last else GENESIS,
            "key": key.public,
        }
        bare = kind.model_validate({**body, "hash": GENESIS, "signature": "0" * 128})
        made = entry_hash(bare)
        return bare.model_copy(update={"hash": made, "signature": key.sign(made)})

    def set_aside(self) -> Path | None:
        """Move an unfinished last line into a file of its own; that file, if there was one."""
        if not self.path.exists():
            return None
        with self._locked() as descriptor:
            return self._set_torn_aside(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

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
        if self._known is None or self._known[0] != data:
            owner = SigningKey.of_file(self._key_file).public if data and self._key_file.exists() else None
            self._known = (data, *read(data, owner))
        return self._known[1], self._known[2]


def entry_hash(entry: Entry) -> str:
    """SHA-256 over every other field of an entry but its signature."""
    return digest(entry.model_dump(mode="json", exclude={"hash", "signature"}))


def read(data: bytes, owner: str | None = None) -> tuple[tuple[Entry, ...], Verification]:
    """The good entries of a gradebook and whether it is whole; `owner`: the key that must have signed it."""
    *lines, last = data.split(b"\n")
    entries: list[Entry] = []
    head, fault, key = GENESIS, "", owner
    for number, line in enumerate(lines, 1):
        entry, fault = _link(line, number, head, key)
        if entry is None:
            break
        entries.append(entry)
        head, key = entry.hash, entry.key
    torn = f"{len(last)} bytes of an entry that was never finished" if last and not fault else ""
    return tuple(entries), Verification(len(entries), head, entries[0].key if entries else "", fault, torn)


def _link(line: bytes, number: int, previous: str, key: str | None) -> tuple[Entry | None, str]:
    """The entry of a line, or why the chain breaks there."""
    try:
        entry = _ADAPTER.validate_json(line)
    except ValidationError as error:
        if any(sign in line for sign in _EARLIER):
            return None, f"line {number} is of the first, unsigned format, which this version no longer reads."
        first = error.errors(include_url=False, include_input=False)[0]
        return None, f"line {number} can't be read: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}."
    if entry.sequence != number:
        return None, f"line {number} carries sequence {entry.sequence}: a line was added or removed."
    if entry.previous != previous:
        return None, f"line {number} does not follow line {number - 1}: a line was changed, added or removed."
    try:
        found = entry_hash(entry)
    except (ValueError, RecursionError):
        return None, f"line {number} holds a value that no line is written with."
    if entry.hash != found:
        return None, f"line {number} was changed after it was written."
    if key is not None and entry.key != key:
        whose = "this lab's gradebook key" if number == 1 else "the lines before it"
        return None, f"line {number} is signed by another key than {whose}."
    if not verifies(entry.key, entry.signature, entry.hash):
        return None, f"line {number} does not carry the signature of its key."
    return entry, ""
