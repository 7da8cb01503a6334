"""What a lab needs of this machine, and how fast the machine is."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from archlab.errors import ArchlabError
from archlab.lab.lab import lab_names
from archlab.settings import LabFolder, home

NEEDED_MEMORY = 3 << 30
"""A lab's processes and a replay or a first training beside them."""
NEEDED_DISK = 2 << 30
REFERENCE_CALLS_PER_S = 40_000.0
"""Single-row ONNX Runtime calls per second of the machine that thresholds were set on: 2 shared cores."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: str
    """ok, warning or fault."""
    name: str
    found: str
    remedy: str = ""


def diagnose(lab: str | None = None) -> list[Finding]:
    """Look at Python, programs, memory, disk, sockets and ports."""
    return [_python(), _envoy(), _opa(), _postgres(), _memory(), _disk(), _sockets(), *_ports(lab)]


def measure() -> dict[str, float]:
    """How many single-row calls per second ONNX Runtime does here, and as a share of the reference's."""
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto, helper

    weights = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "weights"], ["prediction"])],
        "calibration",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, 32])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 32])],
        [helper.make_tensor("weights", TensorProto.FLOAT, [32, 32], weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options)
    row = {"features": weights[:1]}
    calls, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < 1.0:
        for _ in range(200):
            session.run(None, row)
        calls += 200
    return {"onnx_calls_per_s": calls / spent, "relative_speed": calls / spent / REFERENCE_CALLS_PER_S}


def _python() -> Finding:
    found = platform.python_version()
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding("ok", "Python", found)
    return Finding("fault", "Python", found, "Use Python 3.11 to 3.13: make setup PYTHON=python3.12")


def _envoy() -> Finding:
    from archlab.gateway.program import envoy_program

    try:
        return Finding("ok", "Envoy", str(envoy_program()))
    except ArchlabError as error:
        return Finding("fault", "Envoy", error.message, error.remedy)


def _opa() -> Finding:
    if found := shutil.which("opa"):
        return Finding("ok", "OPA", found)
    return Finding("ok", "OPA", "no server; decisions use the embedded engine (regopy)")


def _postgres() -> Finding:
    """Only drills need it."""
    from archlab.recovery import unprivileged
    from archlab.recovery.programs import postgres_programs

    try:
        unprivileged.command(())
        found = postgres_programs()
    except ArchlabError as error:
        return Finding("ok", "Postgres", f"{error.message} Only drills need it.", error.remedy)
    return Finding("ok", "Postgres", f"{found.major}, {found.folder}")


def _memory() -> Finding:
    free = psutil.virtual_memory().available
    text = f"{free / 2**30:.1f} GiB available"
    if free >= NEEDED_MEMORY:
        return Finding("ok", "memory", text)
    return Finding(
        "warning", "memory", text, "A lab and a replay take about 3 GiB: close something, or stop other labs."
    )


def _disk() -> Finding:
    root = home()
    existing = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:.1f} GiB free at {existing}"
    if free >= NEEDED_DISK:
        return Finding("ok", "disk", text)
    return Finding("fault", "disk", text, "A lab takes about 0.5 GiB: free some, or set ARCHLAB_HOME to another disk.")


def _sockets() -> Finding:
    folder = Path(tempfile.gettempdir())
    if len(str(LabFolder.of("x" * 20).socket("online-0"))) > 100:
        return Finding("fault", "sockets", f"{folder} is too long a path", "Set TMPDIR to a short path, e.g. /tmp")
    if not os.access(folder, os.W_OK):
        return Finding("fault", "sockets", f"{folder} can't be written", "Set TMPDIR to a folder of yours.")
    return Finding("ok", "sockets", f"unix sockets below {folder}")


def _ports(lab: str | None) -> list[Finding]:
    from archlab.lab.lab import open_lab
    from archlab.lab.lifecycle import DEFAULT_PORT
    from archlab.targets.ports import holder

    if not lab_names():
        taken = holder(DEFAULT_PORT)
        note = (
            f"{DEFAULT_PORT} is free"
            if taken is None
            else f"{DEFAULT_PORT} is held by {taken}; the next free one is taken"
        )
        return [Finding("ok", "port", note)]
    found = []
    for name in [lab] if lab else lab_names():
        opened = open_lab(name)
        port = opened.identity.gateway_port
        taken = holder(port)
        if taken is None or "envoy" in taken:
            found.append(Finding("ok", "port", f"{port} for lab {name}"))
        else:
            remedy = f"Stop it, or: archlab up --lab {name} --port {port + 1}"
            found.append(Finding("fault", "port", f"{port} of lab {name} is held by {taken}", remedy))
    return found
