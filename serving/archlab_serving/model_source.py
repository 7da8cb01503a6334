"""How ONNX Runtime is given a model: parsed from a path, other threads go on; parsed from bytes, all of them wait."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

_SMALL_BYTES = 256 << 10


@contextlib.contextmanager
def loadable(data: bytes) -> Iterator[str | bytes]:
    """The path of an anonymous file in memory that holds `data`, where the system has such files and it is worth it.

    ONNX Runtime's binding keeps the interpreter's lock while it parses bytes, 0.5 ms for each megabyte, and keeps the
    bytes as long as the session. It does neither with a path. What is parsed is still what was verified.
    """
    if sys.platform != "linux" or len(data) < _SMALL_BYTES:
        yield data
        return
    descriptor = os.memfd_create("model", os.MFD_CLOEXEC)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
