"""What the gate measures of a version's files for the rules on its supply chain: signature, bill of materials, graph.

Plain facts as JSON; the rules judge. Nothing is unpickled, run, or parsed by more than a walk over bytes.
"""

from __future__ import annotations

import json
import mmap
from pathlib import Path, PurePosixPath
from typing import Any

from archlab import bom, signing
from archlab.files import file_sha256
from archlab.registry.artifacts import MODEL_FILE
from archlab_serving import onnx_inspection

MOST_BYTES = 1 << 30
"""Of a graph that is looked at; the rules allow no larger one."""


def signature(where: Path | None, trusted: Path) -> dict[str, Any]:
    """Whether a trusted key signed what lies there now: `state`, and `key` and `message` where there are any."""
    if where is None or not where.is_dir():
        return {"state": "absent", "message": "there are no files"}
    verdict = signing.check(where, trusted)
    found = {"state": verdict.state, "key": verdict.key, "message": verdict.message}
    return {name: value for name, value in found.items() if value}


def materials(where: Path | None, registered: str | None) -> dict[str, Any] | None:
    """The bill of materials: its digest now and as registered, and what it says; None when there is none.

    A file that is no bill of materials has a digest and says nothing.
    """
    path = where / bom.FILE if where is not None else None
    if path is None or path.is_symlink() or not path.is_file():
        return None
    found: dict[str, Any] = {"sha256": file_sha256(path), "registered_sha256": registered}
    found |= bom.summary(_document(path))
    return {name: value for name, value in found.items() if value is not None}


def graph(where: Path | None) -> dict[str, Any]:
    """What `model.onnx` would need besides itself; `readable` is false where nobody can say."""
    files = sorted(where.rglob(MODEL_FILE)) if where is not None and where.is_dir() else []
    if len(files) != 1 or files[0].is_symlink():
        return {"readable": False, "message": "there is not one model.onnx"}
    try:
        found = _inspected(files[0])
    except (ValueError, OSError) as error:
        return {"readable": False, "message": str(error)}
    return {
        "readable": True,
        "domains": sorted(found.domains),
        "outside": [
            {"tensor": name, "location": location, "escapes": _escapes(location)} for name, location in found.outside
        ],
        "oversized": [
            {"tensor": name, "elements": elements, "bytes": size} for name, elements, size in found.oversized
        ],
        "nodes": found.nodes,
    }


def _inspected(path: Path) -> onnx_inspection.Inspection:
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"it has {size} bytes")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return onnx_inspection.inspect(content)


def _escapes(location: str) -> bool:
    """Whether a location leads out of the model's folder."""
    path = PurePosixPath(location.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or ":" in location


def _document(path: Path) -> Any:
    if path.stat().st_size > bom.MOST_BYTES:
        return None
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
