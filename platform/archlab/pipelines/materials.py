"""A model's bill of materials: a CycloneDX 1.6 ML-BOM beside its file, written when the version is registered.

The component that it describes is the model, by the SHA-256 of `model.onnx`, with a model card; it depends on the
training data, by digest, and on the libraries that it was trained and exported with, as they were then.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from archlab import __version__, bom
from archlab.files import file_sha256
from archlab.pipelines.train import TrainedCard

MODEL_REF, DATA_REF = "model", "training-data"
_SPACE = uuid.UUID("5f0c9d1e-7d3b-4a43-9a0e-2f6f4f1c9b52")
"""Serial numbers are of this name space: the same file with the same card has the same one."""
_APPROACH = {"clusters": "unsupervised"}


def write(folder: Path, card: TrainedCard) -> Path:
    """Write the bill of materials of the `model.onnx` in a folder; its path."""
    path = folder / bom.FILE
    path.write_text(json.dumps(document(card, file_sha256(folder / "model.onnx")), indent=2) + "\n")
    return path


def document(card: TrainedCard, sha256: str) -> dict[str, Any]:
    """The bill of materials as JSON has it.

    Args:
        sha256: of the file that is registered.
    """
    from cyclonedx.output.json import JsonV1Dot6

    made: dict[str, Any] = json.loads(JsonV1Dot6(_bill(card, sha256)).output_as_string())
    # the library has no classes for model cards that refer to their data
    made["metadata"]["component"]["modelCard"] = _model_card(card)
    return made


def _bill(card: TrainedCard, sha256: str) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from packageurl import PackageURL

    def digest(content: str) -> list[Any]:
        return [HashType(alg=HashAlgorithm.SHA_256, content=content)]

    model = Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        name=card.model,
        version=sha256[:12],
        bom_ref=MODEL_REF,
        description=f"{card.algorithm}, variant {card.variant}",
        hashes=digest(sha256),
        properties=[Property(name=f"archlab:{name}", value=value) for name, value in _properties(card).items()],
    )
    data = Component(
        type=ComponentType.DATA,
        name="training data",
        version=card.data_digest[:12],
        bom_ref=DATA_REF,
        hashes=digest(card.data_digest),
        properties=[
            Property(name="archlab:digest_of", value="the sources and the code that reads them"),
            Property(name="archlab:train_rows", value=str(card.train_rows)),
            Property(name="archlab:holdout_rows", value=str(card.holdout_rows)),
        ],
    )
    libraries = [
        Component(
            type=ComponentType.LIBRARY,
            name=name,
            version=found,
            bom_ref=f"pkg:pypi/{name}@{found}",
            purl=PackageURL("pypi", name=name, version=found),
        )
        for name, found in card.libraries.items()
    ]
    tool = Component(type=ComponentType.APPLICATION, name="archlab", version=__version__, bom_ref="archlab")
    about = BomMetaData(component=model, timestamp=card.trained_at, tools=ToolRepository(components=[tool]))
    bill = Bom(metadata=about, components=[data, *libraries], serial_number=uuid.uuid5(_SPACE, sha256 + card.variant))
    bill.register_dependency(model, [data, *libraries])
    return bill


def _properties(card: TrainedCard) -> dict[str, str]:
    return {
        "code_version": card.code_version,
        "evaluated_at": card.evaluated_at.isoformat(),
        "feature_service": card.feature_service,
        "parity_max_abs_diff": repr(card.parity_max_abs_diff),
    }


def _model_card(card: TrainedCard) -> dict[str, Any]:
    """The `modelCard` object of CycloneDX."""
    shown = {"slice": "hold-out"}
    return {
        "modelParameters": {
            "approach": {"type": _APPROACH.get(card.kind, "supervised")},
            "task": card.kind,
            "architectureFamily": card.algorithm,
            "datasets": [{"ref": DATA_REF}],
            "inputs": [{"format": f"features float32 [N, {len(card.columns)}]"}],
            "outputs": [{"format": "prediction float32 [N, 1]"}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": card.metric, "value": repr(card.value), **shown},
                {"type": f"{card.metric} of the simple rule", "value": repr(card.baseline), **shown},
            ]
        },
    }
