"""Heads of a lab's decision log, kept outside its folder: one line each, only ever appended."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from archlab.lab.lab import Lab
from archlab.settings import home
from archlab.spec.audit import Anchor


def file_of(lab: Lab) -> Path:
    """Where the anchors of a lab are; another lab of the same name has another file."""
    return home() / "anchors" / f"{lab.name}-{lab.identity.created:%Y%m%dT%H%M%S}.jsonl"


def append(file: Path, anchor: Anchor) -> None:
    """Add one; it is on the disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.open("a") as out:
        out.write(anchor.model_dump_json() + "\n")
        out.flush()
        os.fsync(out.fileno())


def set_aside(lab: Lab) -> None:
    """After a reset the log starts again: its anchors are kept under another name, and no longer hold."""
    file = file_of(lab)
    if file.exists():
        file.rename(file.with_suffix(f".reset-{datetime.now(UTC):%Y%m%dT%H%M%S}.jsonl"))
