"""The business's data as typed Parquet with every feature view's history, once per digest of sources and code."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from archlab.files import file_sha256
from archlab.lineage import names, spool
from archlab.lineage.digests import data_digest
from archlab.lineage.events import Event, completed
from archlab.spec.lineage import LineageArtifact
from archlab_features import views


class Ingest(Protocol):
    """`archlab_scenarios.<business>.ingest`."""

    def sources(self) -> Mapping[str, Path]:
        """The files that are read, by name."""
        ...

    def reader(self) -> str:
        """Digest of the code that reads them."""
        ...

    def write(self, folder: Path) -> None:
        """Write typed Parquet files into an existing folder."""
        ...


def ingest_of(business: str) -> Ingest:
    """The module that reads a business's sources."""
    module: Ingest = importlib.import_module(f"archlab_scenarios.{business}.ingest")
    return module


def digest(business: str) -> str:
    """What the data folder depends on: sources, their reader, the views' SQL."""
    found = ingest_of(business)
    return data_digest({n: file_sha256(p) for n, p in found.sources().items()}, found.reader(), _views_code())


def data_folder(cache: Path, business: str) -> Path:
    """Where the data lies, whether it was made yet or not."""
    return cache / "data" / digest(business)[:16]


def ensure(cache: Path, business: str) -> Path:
    """The data folder, made when it is not there. Atomic: a folder with its final name is whole."""
    folder = data_folder(cache, business)
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        began = datetime.now(UTC)
        ingest_of(business).write(part)
        typed = datetime.now(UTC)
        views.build(part)
        spool.keep(part / spool.NAME, _events(business, part, names.cached(cache, folder), began, typed))
        if not folder.is_dir():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _events(business: str, part: Path, folder: str, began: datetime, typed: datetime) -> list[Event]:
    """What the two steps read and wrote; `folder` is the name that `part` is about to get."""
    found, files = ingest_of(business), spool.Files(part, f"{folder}/")
    sources = [
        LineageArtifact(name=names.source(business, name), sha256=file_sha256(path))
        for name, path in found.sources().items()
    ]
    facts = {"reader": found.reader(), "views": _views_code(), "data_digest": digest(business)}
    tables = [files.artifact(path.name) for path in sorted(part.glob("*.parquet"))]
    history = [files.artifact(f"views/{path.name}") for path in sorted(part.glob("views/*.parquet"))]
    return [
        *completed(f"ingest.{business}", inputs=sources, outputs=tables, facts=facts, began=began),
        *completed(f"features.{business}", inputs=tables, outputs=history, facts=facts, began=typed),
    ]


def _views_code() -> str:
    return hashlib.sha256(inspect.getsource(views).encode()).hexdigest()
