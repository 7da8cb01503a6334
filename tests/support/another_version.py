"""Registers a model of the cache once more, as a file of its own: `python -m another_version MODEL NOTE`.

The lab is the one that ARCHLAB_LAB names; MLflow's variables say where its registry is. Prints the version.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx

from archlab.files import file_sha256
from archlab.pipelines.register import register
from archlab.pipelines.train import trained
from archlab.settings import LabFolder
from archlab.spec.scenario import Scenario


def main(name: str, note: str) -> str:
    """The version's number."""
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    model = next(m for m in scenario.models if m.name == name)
    found = trained(folder.cache, scenario.business, Path(), name)
    with tempfile.TemporaryDirectory() as place:
        graph, made = onnx.load(str(found.onnx)), Path(place) / "model.onnx"
        graph.doc_string = note
        onnx.save(graph, str(made))
        better = found.card.value + (0.001 if found.card.higher_is_better else -0.001)  # so that it may be promoted
        metrics = {**found.card.metrics, found.card.metric: better}
        changed = {"sha256": file_sha256(made), "value": better, "metrics": metrics}
        card = found.card.model_copy(update=changed)
        return register(replace(found, folder=Path(place), card=card), owner=model.owner, team=model.team)


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
