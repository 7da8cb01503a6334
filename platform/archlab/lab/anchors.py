"""Heads of a lab's decision log, kept outside its folder: one line each, only ever appended."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from archlab.files import write_atomic
from archlab.lab.lab import Lab
from archlab.spec.audit import Anchor


def file_of(lab: Lab) -> Path:
    """Where the anchors of a lab are; another lab of the same name has another file."""
    return lab.folder.root.parent / "anchors" / f"{lab.name}-{lab.identity.created:%Y%m%dT%H%M%S}.jsonl"


def append(file: Path, anchor: Anchor) -> None:
    """Add one; it is on the disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.open("a") as out:
        out.write(anchor.model_dump_json() + "\n")
        out.flush()
        os.fsync(out.fileno())


def keep_start(lab: Lab, found: Iterable[Anchor]) -> None:
    """Keep anchors of the scenario's start, which hold again after each reset. Once they are kept they stay."""
    file = _start_of(lab)
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = "".join(anchor.model_dump_json() + "\n" for anchor in found).encode()
    write_atomic(file_of(lab), text)
    write_atomic(file, text)


def set_aside(lab: Lab) -> None:
    """After a reset the log starts again: its anchors are kept under another name, and only those of the start hold."""
    file = file_of(lab)
    if file.exists():
        file.rename(file.with_suffix(f".reset-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl"))
    if _start_of(lab).exists():
        write_atomic(file, _start_of(lab).read_bytes())


def _start_of(lab: Lab) -> Path:
    return file_of(lab).with_suffix(".start.jsonl")
