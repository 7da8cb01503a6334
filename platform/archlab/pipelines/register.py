"""`python -m archlab.pipelines.register [MODEL ...] [--variant NAME]`: register trained models with the MLflow client.

Reads MLFLOW_TRACKING_URI and MLFLOW_TRACKING_TOKEN like any MLflow program. Each version's folder gets a bill of
materials and is signed with the lab's key. A version whose file and evidence are registered already is found and left
as it is, so the job can be killed and run again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from archlab import jobs, signing
from archlab.errors import NotFoundError
from archlab.lineage import names as lineage
from archlab.lineage.events import Event, completed
from archlab.pipelines import materials, recipes, train
from archlab.pipelines.charges import charges
from archlab.pipelines.data import data_folder
from archlab.pipelines.device_support import node_support
from archlab.pipelines.train import BASE, Trained, TrainedCard, trained
from archlab.settings import LabFolder
from archlab.spec.devices import NodeSupport
from archlab.spec.lineage import LineageArtifact
from archlab.spec.scenario import Scenario
from archlab.unixhttp import control

EXPERIMENT = "training-{team}"
"""One for each team: what lies in an experiment belongs to one."""
REQUIREMENTS = ["onnxruntime", "numpy"]
"""Named, so that MLflow does not load the model in a process of its own to find them out."""


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body: versions by model."""
    parser = argparse.ArgumentParser(prog="archlab.pipelines.register")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--variant", default=BASE)
    chosen = parser.parse_args(arguments)
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    names = chosen.models or [m.name for m in scenario.models]
    owners = {m.name: (m.owner, m.team) for m in scenario.models}
    if unknown := [n for n in names if n not in owners]:
        raise NotFoundError(f"There is no model {unknown[0]!r} in this lab.", f"Models: {', '.join(owners)}.")
    data = data_folder(folder.cache, scenario.business)
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    versions: dict[str, str] = {}
    now = datetime.fromisoformat(control(folder, "GET", "/clock")["now"])
    for index, name in enumerate(names):
        jobs.report("register", name, index, len(names))
        found = trained(folder.cache, scenario.business, data, name, chosen.variant)
        owner, team = owners[name]
        began = time.process_time()
        versions[name] = register(found, owner=owner, team=team)
        spent = charges(found.card, team, versions[name], time.process_time() - began, now)
        control(folder, "POST", "/usage", [usage.model_dump(mode="json") for usage in spent])
        recipe = recipes.recipe(recipes.training(scenario.business), name, chosen.variant)
        made = train.events(folder.cache, scenario.business, recipe, found)
        control(folder, "POST", "/api/v1/lineage", [*made, *events(folder.cache, found, versions[name])])
    return {"versions": versions}


def events(cache: Path, model: Trained, version: str) -> list[Event]:
    """What registering a model read and wrote: its file, and the version with the digest that the gate noted."""
    from mlflow import MlflowClient

    name = model.card.model
    found = MlflowClient().get_model_version(name, version)
    return completed(
        f"register.{name}",
        inputs=[LineageArtifact(name=lineage.cached(cache, model.onnx), sha256=model.card.sha256)],
        outputs=[LineageArtifact(name=lineage.version(name, version), sha256=found.tags.get("archlab.sha256", ""))],
        facts={"mlflow_run_id": str(found.run_id), "author": found.tags.get("archlab.author", "")},
        run_id=str(UUID(str(found.run_id))),
    )


class SignedOnnx:
    """MLflow's flavor for ONNX; what it saves also gets its bill of materials, and is signed.

    MLflow takes anything with `save_model` for a flavor: what is logged is whole from the start, in one upload.

    Args:
        card: evidence about the model.
        key: private key in PEM.
    """

    __name__ = "mlflow.onnx"

    def __init__(self, card: TrainedCard, key: Path) -> None:
        self._card = card
        self._key = key

    def save_model(self, path: str, **arguments: Any) -> None:
        """As `mlflow.onnx.save_model`."""
        import mlflow

        mlflow.onnx.save_model(path=path, **arguments)
        materials.write(Path(path), self._card)
        signing.sign(Path(path), self._key)


def register(
    model: Trained,
    *,
    owner: str,
    team: str,
    more_tags: Mapping[str, str] = MappingProxyType({}),
    without: Collection[str] = (),
    key: Path | None = None,
) -> str:
    """Log one run with the model, sign it, register it, tag the version; returns the version.

    Args:
        model: file and card.
        owner: of the registered model.
        team: whose it is.
        more_tags: tags of the version beside those that the card gives.
        without: tags of the version that are left out.
        key: private key in PEM that the version is signed with; that of the lab which ARCHLAB_LAB names when None.
    """
    import mlflow
    import onnx
    from mlflow import MlflowClient

    key = key or LabFolder.from_environment().keys / "signing.pem"
    client = MlflowClient()
    if version := _registered(client, model):
        return version
    mlflow.set_experiment(experiment_id=_experiment(client, team))
    card, graph = model.card, onnx.load(str(model.onnx))
    info = _logged(card, graph, team, key)
    _create_model(client, card.model, owner, team)
    versioned = {**tags(model, owner, team, node_support(graph)), **more_tags}
    made = client.create_model_version(
        card.model,
        info.model_uri,
        run_id=info.run_id,
        tags={k: v for k, v in versioned.items() if k not in without},
        model_id=info.model_id,
    )
    return str(made.version)


def _experiment(client: Any, team: str) -> str:
    """Id of the team's experiment, made when it is not there."""
    name = EXPERIMENT.format(team=team)
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name, tags={"archlab.owner_team": team}))


def _logged(card: TrainedCard, graph: Any, team: str, key: Path) -> Any:
    """One run with the model, signed; MLflow's `ModelInfo`."""
    import mlflow
    from mlflow.models import Model

    with mlflow.start_run(run_name=f"{card.model} {card.trained_at:%Y-%m-%d}"):
        mlflow.log_params(card.params)
        mlflow.log_metrics(card.metrics)
        mlflow.set_tags({"team": team, "algorithm": card.algorithm, "data_digest": card.data_digest})
        return Model.log(
            None,
            SignedOnnx(card, key),
            name=card.model,
            onnx_model=graph,
            signature=_signature(len(card.columns)),
            pip_requirements=REQUIREMENTS,
            save_as_external_data=False,
        )


def tags(model: Trained, owner: str, team: str, support: NodeSupport) -> dict[str, str]:
    """The tags of a version; see docs/interfaces.md."""
    card = model.card
    return {
        "archlab.algorithm": card.algorithm,
        "archlab.baseline": repr(card.baseline),
        "archlab.code_version": card.code_version,
        "archlab.columns": json.dumps([c.model_dump(mode="json") for c in card.columns]),
        "archlab.data_digest": card.data_digest,
        "archlab.device_support": support.model_dump_json(),
        "archlab.evaluated_at": card.evaluated_at.isoformat(),
        "archlab.feature_service": card.feature_service,
        "archlab.higher_is_better": str(card.higher_is_better).lower(),
        "archlab.keys": json.dumps(list(card.keys)),
        "archlab.metric": card.metric,
        "archlab.metric_value": repr(card.value),
        "archlab.onnx_sha256": card.sha256,
        "archlab.owner": owner,
        "archlab.parity_max_abs_diff": repr(card.parity_max_abs_diff),
        "archlab.team": team,
    }


def _registered(client: Any, model: Trained) -> str | None:
    """The version that carries this very file, None when there is none."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.search_model_versions(f"name='{model.card.model}'")
    except MlflowException:
        return None
    return next((str(v.version) for v in found if v.tags.get("archlab.onnx_sha256") == model.card.sha256), None)


def _create_model(client: Any, name: str, owner: str, team: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags={"team": team, "owner": owner})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _signature(width: int) -> Any:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    inputs = Schema([TensorSpec(np.dtype(np.float32), (-1, width), "features")])
    outputs = Schema([TensorSpec(np.dtype(np.float32), (-1, 1), "prediction")])
    return ModelSignature(inputs=inputs, outputs=outputs)


if __name__ == "__main__":
    jobs.main(run)
