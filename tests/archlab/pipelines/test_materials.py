"""The bill of materials is one that CycloneDX's own schema accepts, and says what the gate asks about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from archlab import bom
from archlab.pipelines import materials
from archlab.pipelines.train import LIBRARIES, libraries
from model_folders import DATA_DIGEST, GRAPH, card, fill


def faults(document: dict[str, Any]) -> list[str]:
    """What the schema of CycloneDX 1.6 has against a document."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    return [] if found is None else [str(found)]


@pytest.mark.parametrize("kind", ["classification", "estimate", "clusters"])
def test_it_is_a_bill_of_materials_by_the_schema(kind: str) -> None:
    document = materials.document(card(kind=kind), "a" * 64)
    assert faults(document) == []
    model = document["metadata"]["component"]
    assert (document["specVersion"], model["type"]) == ("1.6", "machine-learning-model")
    approach = model["modelCard"]["modelParameters"]["approach"]["type"]
    assert approach == ("unsupervised" if kind == "clusters" else "supervised")


@pytest.mark.parametrize("field", ["bomFormat", "specVersion"])
def test_the_schema_would_tell(field: str) -> None:
    document = materials.document(card(), "a" * 64)
    del document[field]
    assert faults(document)
    document = materials.document(card(), "a" * 64)
    document["metadata"]["component"]["modelCard"]["modelParameters"]["approach"]["type"] = "guessed"
    assert faults(document)


def test_it_is_about_this_file_this_data_and_these_libraries(tmp_path: Path) -> None:
    folder = fill(tmp_path / "model")
    document = json.loads((folder / bom.FILE).read_bytes())
    found = bom.summary(document)
    assert found == {
        "spec_version": "1.6",
        "model_sha256": hashlib.sha256(GRAPH).hexdigest(),
        "model_card": True,
        "datasets": [DATA_DIGEST],
        "libraries": ["numpy==2.1.0", "scikit-learn==1.7.0"],
    }
    (dependency,) = (d for d in document["dependencies"] if d["ref"] == "model")
    assert dependency["dependsOn"] == ["pkg:pypi/numpy@2.1.0", "pkg:pypi/scikit-learn@1.7.0", "training-data"]
    metrics = document["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert metrics[0] == {"type": "auc", "value": "0.78", "slice": "hold-out"}


def test_the_same_file_and_card_give_the_same_document() -> None:
    assert materials.document(card(), "a" * 64) == materials.document(card(), "a" * 64)


def test_libraries_are_those_that_are_installed() -> None:
    assert libraries().keys() == set(LIBRARIES)
    assert all(libraries().values())


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"bomFormat": "SPDX"}, {"bomFormat": "CycloneDX"}, {"bomFormat": "CycloneDX", "metadata": []},
     {"bomFormat": "CycloneDX", "components": [1, {"type": "data", "hashes": [3]}, {"type": "data", "hashes": {}}]},
     {"bomFormat": "CycloneDX", "metadata": {"component": {"type": "library", "hashes": []}}}],
)  # fmt: skip
def test_anything_else_says_nothing(document: Any) -> None:
    found = bom.summary(document)
    assert not found.get("model_sha256")
    assert not found.get("datasets")
    assert not found.get("model_card")
