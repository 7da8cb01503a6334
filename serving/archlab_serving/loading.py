"""From a release's file to what answers for it: the part that runs in threads of its own."""

from __future__ import annotations

import time
from typing import NamedTuple

from . import heap, onnx_file, onnx_inspection
from .devices import Devices
from .feed import Release, read_blob
from .runtime import OnnxModel, Table, load_onnx, load_table
from .settings import Settings

Backend = OnnxModel | Table

_TABLE_FACTOR = 8
"""A table's row of 25 bytes becomes a text, a number and a place in a dictionary."""
_TRIMMED_BYTES = 8 << 20


class Contents(NamedTuple):
    """A verified file, and the memory that it is expected to take once loaded."""

    data: bytes
    need_bytes: int
    seconds: float


class Made(NamedTuple):
    """What answers, and the memory that it takes."""

    backend: Backend
    memory_bytes: int
    seconds: float


def read(release: Release, settings: Settings) -> Contents:
    """Reads and checks the file.

    Raises:
        RefusedReleaseError: it is missing, too large, another one, refers to files beside it, needs operators from
            elsewhere, or declares tensors that it has no bytes for.
    """
    started = time.monotonic()
    data = read_blob(settings.feed.parent, release, settings.max_model_bytes, settings.region)
    if release.kind == "table":
        need_bytes = _TABLE_FACTOR * len(data)
    else:
        onnx_file.check_self_contained(data)
        onnx_inspection.check(data)
        need_bytes = onnx_file.memory_estimate(data)
    return Contents(data, need_bytes, time.monotonic() - started)


def make(release: Release, contents: Contents, settings: Settings, devices: Devices) -> Made:
    """The session, or the table; with device memory for a model that is on a device.

    `memory_bytes` of a session is how much the heap in use grew while it was made, but at least the file's size.
    Where the heap can't be asked, and for tables, which live in Python's own memory, it is the estimate. The caller
    takes the estimate too for loads that overlapped, since each would count the other's growth.

    Raises:
        RefusedReleaseError: ONNX Runtime can't load or run it, it doesn't keep the contract, or its device is full.
    """
    started, before = time.monotonic(), heap.in_use_bytes()
    backend: Backend
    if release.kind == "table":
        backend, memory_bytes = load_table(release, contents.data), contents.need_bytes
    else:
        lease = devices.lease(release.model, release.version, contents.need_bytes)
        backend = load_onnx(release, contents.data, threads=settings.threads, inline_ms=settings.inline_ms, lease=lease)
        memory_bytes = max(heap.in_use_bytes() - before, len(contents.data)) if before else contents.need_bytes
    if memory_bytes >= _TRIMMED_BYTES:
        heap.give_back()
    return Made(backend, memory_bytes, contents.seconds + time.monotonic() - started)


def free(doomed: list[Backend], *, give_back: bool) -> None:
    """Drops what is in the list, which holds the last references, and returns its memory to the system."""
    doomed.clear()
    if give_back:
        heap.give_back()
