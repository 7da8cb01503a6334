"""One release's file and its place in memory. Everything here is read and changed on the event loop only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .devices import Assignment
from .errors import UnavailableError
from .feed import Release
from .loading import Backend
from .runtime import INPUT, PREDICTION, Table, TensorSpec


class Failure(NamedTuple):
    """Why a file could not be loaded, and until when nobody tries again (monotonic seconds)."""

    reason: str
    message: str
    until: float


class Tensors(NamedTuple):
    """What a model takes and answers."""

    inputs: Sequence[TensorSpec]
    outputs: Sequence[TensorSpec]


class ModelFile:
    """A file that is in memory, being loaded, or neither.

    A request answers within `with file:`. Whoever does may use `backend` until the end, however long it takes: what is
    being answered from is not evicted.

    Args:
        release: what it was published as; another release of the same content may take its place.
        pinned: never evicted.
        when_idle: called when the last request has left and somebody waits for that.
    """

    __slots__ = (
        *(
            "__weakref__",
            "_when_idle",
            "answering",
            "assignment",
            "backend",
            "champion",
            "closed",
            "failure",
            "last_used",
        ),
        *("loading", "measured", "memory_bytes", "pinned", "release", "retired", "tensors", "wanted_idle"),
    )

    def __init__(self, release: Release, *, pinned: bool, when_idle: Callable[[ModelFile], None]) -> None:
        self.release = release
        self.pinned = pinned
        self.backend: Backend | None = None
        self.assignment: Assignment | None = None
        """Its device when its place was made; None for the CPU."""
        self.memory_bytes = 0
        """What it takes; once it has been loaded, what it will take."""
        self.measured = False
        self.tensors: Tensors | None = _from_release(release)
        """Known without loading where the release says it; for a tensor model once it has been loaded."""
        self.answering = 0
        """Requests that hold it."""
        self.last_used = 0.0
        self.champion = False
        self.loading: asyncio.Task[None] | None = None
        self.failure: Failure | None = None
        self.closed = False
        """Unloaded by an operator."""
        self.retired = False
        """No release that is served needs it."""
        self.wanted_idle = False
        self._when_idle = when_idle

    def __enter__(self) -> None:
        """Raises UnavailableError when an operator has unloaded the model."""
        if self.closed:
            raise closed_error(self.release.model)
        self.answering += 1

    def __exit__(self, *_: object) -> None:
        self.answering -= 1
        self.last_used = time.monotonic()
        if self.wanted_idle and not self.answering:
            self._when_idle(self)

    def describe(self, backend: Backend) -> Tensors:
        """What it takes and answers, from what is loaded."""
        if self.tensors is None:
            assert not isinstance(backend, Table)
            self.tensors = Tensors(backend.inputs, backend.outputs)
        return self.tensors


def closed_error(model: str) -> UnavailableError:
    """The answer while an operator keeps a model unloaded."""
    return UnavailableError(
        f"model {model!r} was unloaded by an operator; POST /v2/repository/models/{model}/load brings it back"
    )


def _from_release(release: Release) -> Tensors | None:
    if release.kind == "table":
        return Tensors([TensorSpec(key, "BYTES", (-1,)) for key in release.table_keys], (PREDICTION,))
    if release.columns:
        return Tensors((TensorSpec(INPUT, "FP32", (-1, len(release.columns))),), (PREDICTION,))
    return None
