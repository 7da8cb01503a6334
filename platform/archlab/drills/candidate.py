"""The version that promotions of a drill are about, as a pipeline registers it: `python -m archlab.drills.candidate`.

In a process of its own, with MLflow's variables and ARCHLAB_LAB: MLflow is large, and the drill needs it once. Prints
the version.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from datetime import timedelta
from importlib import metadata
from pathlib import Path

from archlab import __version__
from archlab.drills.models import COLUMNS, RIGHT, onnx
from archlab.files import write_model
from archlab.pipelines.register import register
from archlab.pipelines.train import Trained, TrainedCard
from archlab.settings import LabFolder
from archlab.spec.release import Column
from archlab.spec.scenario import Scenario

DATA = "the drill's own figures"


def card(scenario: Scenario, model: str, content: bytes) -> TrainedCard:
    """Evidence that every rule is content with; its figures are made up, and say nothing of any model."""
    made = scenario.starts - timedelta(days=1)
    return TrainedCard(
        model=model,
        variant="drill",
        kind="classification",
        algorithm="a linear function",
        columns=tuple(Column(name=name, source="request") for name in COLUMNS),
        keys=(),
        feature_service="",
        params={},
        metric="auc",
        higher_is_better=True,
        value=0.8,
        baseline=0.6,
        metrics={"auc": 0.8, "holdout_rows": 5_000.0},
        train_rows=50_000,
        holdout_rows=5_000,
        parity_max_abs_diff=0.0,
        sha256=hashlib.sha256(content).hexdigest(),
        data_digest=hashlib.sha256(DATA.encode()).hexdigest(),
        code_version=__version__,
        libraries={"onnx": metadata.version("onnx")},
        trained_at=made,
        evaluated_at=made,
    )


def main() -> None:
    """Register it."""
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    model, content = scenario.models[0], onnx(RIGHT)
    with tempfile.TemporaryDirectory(prefix="archlab-candidate-") as made:
        place = Path(made)
        (place / "model.onnx").write_bytes(content)
        found = Trained(place, card(scenario, model.name, content))
        write_model(place / "card.json", found.card)
        version = register(found, owner=model.owner, team=model.team)
    sys.stdout.write(json.dumps({"version": version}) + "\n")


if __name__ == "__main__":
    main()
