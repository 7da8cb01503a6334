"""The lab's processes as the system sees them, found by what their environment says; and how they are ended."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

LAB = "ARCHLAB_LAB"
UNIT = "ARCHLAB_UNIT"
"""With ARCHLAB_LAB it marks what a target started: `<unit>-<index>`, `job-<name>` or `supervisord`."""
JOB_PREFIX = "job-"

_KEPT = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH"}
    | {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    | {
        "ARCHLAB_HOME",
        "ARCHLAB_SCENARIOS",
        "ARCHLAB_ENVOY",
        "ARCHLAB_OPA",
        "ARCHLAB_POSTGRES",
        "COVERAGE_PROCESS_START",
    }
)


def environment(source: Mapping[str, str], root: Path, name: str) -> dict[str, str]:
    """What a process of the lab inherits: where programs and files are, nothing that changes what they do.

    A MLFLOW_TRACKING_URI, a proxy or a cloud key of the user's shell must not reach the lab.
    """
    kept = {k: v for k, v in source.items() if k in _KEPT or k.startswith("LC_")}
    return {"LANG": "C.UTF-8", **kept, LAB: str(root), UNIT: name, "PYTHONUNBUFFERED": "1"}


def marked(root: Path, *, jobs: bool) -> list[psutil.Process]:
    """Processes of a lab, with what they started in turn; never the caller or its parents."""
    own = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    return [p for p in psutil.process_iter() if p.pid not in own and _belongs(p, root, jobs=jobs)]


def end(processes: Sequence[psutil.Process], *, grace_s: float) -> None:
    """Ask politely, wait, then kill."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(list(processes), timeout=grace_s)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)


def wait_gone(pid: int, *, patience_s: float) -> bool:
    """Whether a process ends in time."""
    try:
        psutil.Process(pid).wait(timeout=patience_s)
    except psutil.NoSuchProcess:
        return True
    except psutil.TimeoutExpired:
        return False
    return True


def _belongs(process: psutil.Process, root: Path, *, jobs: bool) -> bool:
    try:
        variables = process.environ()
    except (psutil.Error, OSError):
        return False
    name = variables.get(UNIT, "")
    return variables.get(LAB) == str(root) and bool(name) and (jobs or not name.startswith(JOB_PREFIX))
