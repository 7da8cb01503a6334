"""The prediction log: one JSON line per answer or failure of a model, written behind the requests' back."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from numpy.typing import NDArray

from .metrics import Metrics

logger = logging.getLogger("archlab_serving")

CAPACITY = 100_000
"""Records kept while the disk doesn't take them; then the oldest go."""
SLICE = 200
"""Records written at a time: half a millisecond of making lines, after which requests get the interpreter back. Made in
one go, those of a busy moment stopped all requests for five."""
_EPOCH = datetime(1970, 1, 1)
"""Naive, which is cheaper to add to; UTC to orjson by the options of a line."""
_LINE = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


class Record(NamedTuple):
    """One answer, or a failure: no prediction, and the status that says why."""

    wall_s: float
    request_id: str
    model: str
    version: str
    release: str
    snapshot: int
    keys: Any
    prediction: NDArray[Any]
    """Of any shape; the line has it flat."""
    us: int
    shadow: bool
    correlation_id: str = ""
    """`x-request-id`: the same for a request and its mirrored copy."""
    status: int = 200

    def line(self) -> bytes:
        """The record as a line of JSON."""
        flat = self.prediction.ravel()
        document = {
            "t": _EPOCH + timedelta(seconds=self.wall_s),
            "request_id": self.request_id,
            "model": self.model,
            "version": self.version,
            "release": self.release,
            "snapshot": self.snapshot,
            "keys": self.keys,
            "prediction": flat.tolist() if flat.dtype == object else flat,  # texts
            "us": self.us,
            "shadow": self.shadow,
            "correlation_id": self.correlation_id,
            "status": self.status,
        }
        return orjson.dumps(document, option=_LINE)


class PredictionLog:
    """Collects records in memory; `flush` appends them to the file and may run in another thread."""

    def __init__(self, path: Path | None, metrics: Metrics, capacity: int = CAPACITY) -> None:
        self._path = path
        self._metrics = metrics
        self._pending: deque[Record] = deque()
        self._capacity = capacity
        self._failing = False
        self._writing = threading.Lock()

    def append(self, record: Record) -> None:
        """Takes a record; never waits."""
        if self._path is None:
            return
        if len(self._pending) >= self._capacity:
            self._pending.popleft()
            self._metrics.log_dropped.inc()
        self._pending.append(record)

    @property
    def pending(self) -> int:
        """Records that are not in the file yet."""
        return len(self._pending)

    def flush(self) -> None:
        """Writes what is pending; on failure it stays pending, and the next flush tries again.

        Returns when what another thread had begun to write is in the file too: the last flush has to wait for that.
        """
        if self._path is None:
            return
        with self._writing:
            left = len(self._pending)
            while left > 0 and self._write(self._path, min(left, SLICE)):
                left -= SLICE

    def _write(self, path: Path, count: int) -> bool:
        batch = [self._pending.popleft() for _ in range(count)]
        try:
            _append(path, b"".join(record.line() for record in batch))
        except OSError as error:
            self._pending.extendleft(reversed(batch))
            self._metrics.log_errors.inc()
            if not self._failing:
                logger.warning("prediction log %s can't be written, answers go on: %s", path, error)
            self._failing = True
        else:
            self._failing = False
        return not self._failing


def _append(path: Path, data: bytes) -> None:
    """Appends all of `data` or nothing; the file is opened anew, so that a removed folder is noticed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        start = file.seek(0, os.SEEK_END)
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
        except OSError:
            file.truncate(start)
            raise
