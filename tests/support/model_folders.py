"""Folders of models as the pipeline registers them: a graph, its bill of materials, a signature over both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archlab import bom, signing
from archlab.pipelines import materials
from archlab.pipelines.train import TrainedCard
from archlab.spec.release import Column
from onnx_models import chain

DATA_DIGEST = "d" * 64
GRAPH = chain(1)
"""A small ONNX file that keeps the columnar contract."""


def graph(answer: float) -> bytes:
    """Another file for each answer."""
    return chain(1, answer)


def card(**changed: Any) -> TrainedCard:
    """Evidence about a trained file, as training leaves it."""
    now = datetime(2013, 11, 4, 8, tzinfo=UTC)
    fields: dict[str, Any] = {
        "model": "departure-delay",
        "variant": "v1",
        "kind": "classification",
        "algorithm": "HistGradientBoostingClassifier",
        "columns": (Column(name="hour", source="request"),),
        "keys": (),
        "feature_service": "departure_delay",
        "params": {},
        "metric": "auc",
        "higher_is_better": True,
        "value": 0.78,
        "baseline": 0.65,
        "metrics": {"auc": 0.78},
        "train_rows": 20_000,
        "holdout_rows": 2_000,
        "parity_max_abs_diff": 2e-7,
        "sha256": "a" * 64,
        "data_digest": DATA_DIGEST,
        "code_version": "0.1.0",
        "libraries": {"numpy": "2.1.0", "scikit-learn": "1.7.0"},
        "trained_at": now,
        "evaluated_at": now,
    }
    return TrainedCard.model_validate({**fields, **changed})


def fill(
    folder: Path,
    content: bytes = GRAPH,
    *,
    key: Path | None = None,
    files: Mapping[str, bytes] | None = None,
    bill: bytes | None = None,
    data_digest: str = DATA_DIGEST,
) -> Path:
    """Write a model's files into a folder.

    Args:
        content: `model.onnx`.
        key: private key to sign with; unsigned without one.
        files: what lies beside it.
        bill: the bill of materials, instead of the right one; empty for none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(content)
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)
    if bill is None:
        materials.write(folder, card(data_digest=data_digest))
    elif bill:
        (folder / bom.FILE).write_bytes(bill)
    if key is not None:
        signing.sign(folder, key)
    return folder


def changed_bill(**component: Any) -> bytes:
    """A bill of materials with other fields in the component that it describes."""
    document = materials.document(card(), "a" * 64)
    document["metadata"]["component"].update(component)
    return json.dumps(document).encode()
