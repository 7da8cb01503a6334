"""The business's data as typed Parquet with every feature view's history, once per digest of sources and code."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import shutil
from pathlib import Path
from typing import Protocol

from archlab_features import views


class Ingest(Protocol):
    """`archlab_scenarios.<business>.ingest`."""

    def digest(self) -> str:
        """Over the sources and the code that reads them."""
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
    parts = ingest_of(business).digest() + inspect.getsource(views)
    return hashlib.sha256(parts.encode()).hexdigest()


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
        ingest_of(business).write(part)
        views.build(part)
        if not folder.is_dir():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
