"""What archlab reads of a model's bill of materials (CycloneDX ML-BOM, JSON), whoever wrote it.

`archlab.pipelines.materials` writes it when a version is registered; the gate and the command line read it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

FILE = "bom.cdx.json"
MOST_BYTES = 1 << 20
MODEL, DATA, LIBRARY = "machine-learning-model", "data", "library"


def summary(document: Any) -> dict[str, Any]:
    """What rules ask about; what is not there, or not as CycloneDX has it, is left out.

    `spec_version`; `model_sha256` and `model_card` (whether it has parameters) of the component that it describes;
    `datasets`: SHA-256 of each that the model depends on; `libraries`: `name==version` of each.
    """
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        return {}
    described = _object(_object(document.get("metadata")).get("component"))
    model = described if described.get("type") == MODEL else {}
    parts = list(components(document))
    found = {
        "spec_version": document.get("specVersion"),
        "model_sha256": sha256_of(model),
        "model_card": bool(_object(_object(model.get("modelCard")).get("modelParameters"))),
        "datasets": sorted(digest for part in parts if part.get("type") == DATA and (digest := sha256_of(part))),
        "libraries": sorted(_versioned(part) for part in parts if part.get("type") == LIBRARY and part.get("version")),
    }
    return {name: value for name, value in found.items() if value is not None}


def components(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The components beside the one that is described."""
    listed = document.get("components")
    yield from (part for part in (listed if isinstance(listed, list) else ()) if isinstance(part, dict))


def sha256_of(component: dict[str, Any]) -> str | None:
    """A component's SHA-256; None when it has none."""
    hashes = component.get("hashes")
    for found in hashes if isinstance(hashes, list) else ():
        if isinstance(found, dict) and found.get("alg") == "SHA-256" and isinstance(found.get("content"), str):
            return str(found["content"])
    return None


def _versioned(part: dict[str, Any]) -> str:
    return f"{part.get('name')}=={part.get('version')}"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
