"""Which execution provider really runs each node of a graph: measured by ONNX Runtime's profile of one inference."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import orjson
from numpy.typing import NDArray

from .devices import Provider
from .model_source import loadable


def node_providers(data: bytes, providers: Sequence[Provider], feeds: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Nodes by provider, of the graph as ONNX Runtime has optimised it.

    Makes a second session of the file for the time of one inference.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_profiling = True
    with tempfile.TemporaryDirectory(prefix="archlab-profile-") as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        with loadable(data) as source:
            session = ort.InferenceSession(source, options, providers=list(providers))
        session.run(None, dict(feeds))
        return count(Path(session.end_profiling()).read_bytes())


def count(profile: bytes) -> dict[str, int]:
    """Nodes by provider in a profile: each node once, however often it ran."""
    found: dict[str, str] = {}
    for event in orjson.loads(profile):
        arguments = event.get("args", {})
        if event.get("cat") == "Node" and arguments.get("provider"):
            found[str(event["name"]).removesuffix("_kernel_time")] = str(arguments["provider"])
    return dict(sorted(Counter(found.values()).items()))


def one_row(columns: int) -> NDArray[np.float32]:
    """The input of a columnar model's profile."""
    return np.zeros((1, columns), dtype=np.float32)
