"""The ONNX file of a version, read from the store that the registry itself serves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from archlab.settings import LabFolder

MODEL_FILE = "model.onnx"
CHUNK_BYTES = 1 << 20


def model_file(folder: LabFolder, uri: str) -> Path | None:
    """Path of a version's `model.onnx`; None when its URI leads elsewhere or there is not exactly one."""
    parts = urlsplit(uri)
    if parts.scheme != "mlflow-artifacts":
        return None
    root = (folder.registry / "artifacts").resolve()
    where = (root / parts.path.lstrip("/")).resolve()
    if not where.is_relative_to(root) or where == root:
        return None
    found = [path for path in where.rglob(MODEL_FILE) if path.is_file()]
    return found[0] if len(found) == 1 else None


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
