"""Limits of a process that runs what a learner wrote."""

from __future__ import annotations

import resource
from contextlib import suppress

MEMORY_BYTES = 1 << 30
"""Of address space: rego-cpp itself maps about 200 MB."""


def confine(cpu_s: int, memory_bytes: int = MEMORY_BYTES) -> None:
    """Limit the present process: processor seconds, address space, no files written, no core dump.

    A system that has no such limit (macOS and address space) leaves it out.
    """
    for kind, limit in (
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))
