"""Limits of a process that runs what a learner wrote."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path

MEMORY_BYTES = 1 << 30
"""Of address space beyond what is mapped already: rego-cpp's allocator reserves up to 256 GB when it is loaded."""


def confine(cpu_s: int, memory_bytes: int = MEMORY_BYTES) -> None:
    """Limit the present process: processor seconds, further address space, no files written, no core dump.

    A system that has no such limit (macOS and address space) leaves it out.
    """
    for kind, limit in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, _mapped_bytes() + memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def _mapped_bytes() -> int:
    """Address space in use; nothing where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0
