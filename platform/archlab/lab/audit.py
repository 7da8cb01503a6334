"""A lab's decision log for auditors: read, held against anchors outside the lab, exported, turned into evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from archlab.errors import UserError
from archlab.files import write_atomic
from archlab.lab import open_lab
from archlab.lab.anchors import append, file_of
from archlab.lab.lab import Lab
from archlab.lab.remains import remains
from archlab.lab.work import clock
from archlab.policy import audit, audit_page, deletions
from archlab.spec.audit import Anchor, EvidencePack, Soundness
from archlab.spec.base import Spec
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import ReleaseFeed

S = TypeVar("S", bound=Spec)


@dataclass(frozen=True, slots=True)
class Log:
    """A whole log, oldest record first, and the anchors that it has to agree with."""

    lab: str
    records: tuple[DecisionRecord, ...]
    anchors: tuple[Anchor, ...]
    anchors_file: Path

    @property
    def soundness(self) -> Soundness:
        """In itself, and against the anchors."""
        return audit.soundness(self.records, self.anchors)


def of_lab(lab: Lab, anchors: Path | None = None) -> Log:
    """The log that a lab's control keeps."""
    records = tuple(DecisionRecord.model_validate(found) for found in lab.control.get("/decisions"))
    file = anchors or file_of(lab)
    return Log(lab.name, records, _read(file, Anchor), file)


def of_file(file: Path, anchors: Path | None = None) -> Log:
    """An exported log.

    Raises:
        UserError: it can't be read; names file and line.
    """
    if not file.is_file():
        raise UserError(f"There is no file {file}.", "Make one with: archlab audit export FILE")
    return Log(file.name, _read(file, DecisionRecord), _read(anchors, Anchor) if anchors else (), anchors or file)


def keep(log: Log) -> None:
    """Add the log's head to the anchors, once."""
    anchor = audit.anchor_of(log.lab, log.records, datetime.now(UTC))
    if anchor is None or any((a.sequence, a.hash) == (anchor.sequence, anchor.hash) for a in log.anchors):
        return
    append(log.anchors_file, anchor)


def export(log: Log, out: Path) -> None:
    """Write a log as JSON lines.

    Raises:
        UserError: the file exists.
    """
    if out.exists():
        raise UserError(f"{out} exists.", "Name a new file.")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, "".join(record.model_dump_json() + "\n" for record in log.records).encode())


def evidence(
    name: str | None, control: str, anchors: Path | None, since: datetime | None, until: datetime | None
) -> EvidencePack:
    """Evidence for a control of a lab; without a period for all its business time up to now.

    Raises:
        UserError: no such control, or a period that ends before it starts.
    """
    lab = open_lab(name)
    log, now = of_lab(lab, anchors), clock(lab)
    start, end = utc(since) or lab.declared.starts, utc(until) or _after(now)
    if end <= start:
        raise UserError(f"The period ends {end:%Y-%m-%d %H:%M}Z, before it starts.", "Give --until after --since.")
    taken = datetime.now(UTC)
    if control == deletions.CONTROL:
        still = remains(lab, deletions.tombstones(log.records))
        return deletions.evidence(lab.name, log.records, log.anchors, still, since=start, until=end, now=taken)
    releases = ReleaseFeed.model_validate(lab.control.get("/releases")).releases
    return audit.evidence(control, lab.name, log.records, releases, log.anchors, since=start, until=end, now=taken)


def write(pack: EvidencePack, out: Path) -> Sequence[Path]:
    """Write a pack as JSON and as a page; the files."""
    out.mkdir(parents=True, exist_ok=True)
    files = {"evidence.json": pack.model_dump_json(indent=2) + "\n", "evidence.html": audit_page.render(pack)}
    for name, text in files.items():
        write_atomic(out / name, text.encode())
    return [out / name for name in files]


def utc(moment: datetime | None) -> datetime | None:
    """A time from the command line: UTC unless it says otherwise."""
    if moment is None:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _after(now: datetime) -> datetime:
    return now.replace(microsecond=0).astimezone(UTC) + datetime.resolution * 1_000_000


def _read(file: Path, kind: type[S]) -> tuple[S, ...]:
    """One spec a line; none from a file that is not there."""
    found: list[S] = []
    if not file.exists():
        return ()
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            found.append(kind.model_validate_json(line))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]["msg"]
            raise UserError(f"{file}:{number} can't be read: {fault}.", "Take another copy of it.") from None
    return tuple(found)
