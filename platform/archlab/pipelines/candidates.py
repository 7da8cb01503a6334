"""`python -m archlab.pipelines.candidates NAME ...`: register a scenario's candidates with the MLflow client.

Reads MLFLOW_TRACKING_URI like any MLflow program, and from ARCHLAB_TOKENS the tokens of those who register, as JSON by
user. A candidate is the trained file with its name among the graph's metadata, so that it has a digest of its own, and
a card with the declared claims. One that is registered already is left as it is: the job can be killed and run again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from archlab import jobs
from archlab.errors import NotFoundError
from archlab.files import write_atomic
from archlab.lineage import names
from archlab.lineage.events import Event, completed
from archlab.pipelines import recipes, train
from archlab.pipelines.data import data_folder
from archlab.pipelines.register import events as registered
from archlab.pipelines.register import register
from archlab.pipelines.train import Trained, TrainedCard, trained
from archlab.plan import candidates as claims
from archlab.settings import LabFolder
from archlab.spec.candidates import Candidate
from archlab.spec.lineage import LineageArtifact
from archlab.spec.scenario import Scenario
from archlab.unixhttp import control

TOKENS = "ARCHLAB_TOKENS"


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body: versions by candidate."""
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    known = {c.name: c for c in scenario.candidates}
    if unknown := [name for name in arguments if name not in known]:
        raise NotFoundError(f"There is no candidate {unknown[0]!r} in this lab.", f"Known: {', '.join(known)}.")
    tokens: dict[str, str] = json.loads(os.environ[TOKENS])
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    versions: dict[str, str] = {}
    with (folder.root / "candidates.lock").open("a") as lock:
        # a job whose command was killed ends at its next report; the next one waits for that
        fcntl.flock(lock, fcntl.LOCK_EX)
        for index, name in enumerate(arguments):
            jobs.report("candidates", name, index, len(arguments))
            os.environ["MLFLOW_TRACKING_TOKEN"] = tokens[known[name].registered_by or scenario.trainer]
            versions[name] = _register(known[name], scenario, folder)
    return {"versions": versions}


def _register(candidate: Candidate, scenario: Scenario, folder: LabFolder) -> str:
    model, cache = scenario.model(candidate.model), folder.cache
    base = trained(cache, scenario.business, data_folder(cache, scenario.business), model.name)
    made = derive(candidate, base, scenario, cache / "candidates")
    version = register(
        made,
        owner=model.owner,
        team=model.team,
        more_tags=claims.own_tags(candidate),
        without=claims.left_out(candidate),
    )
    recipe = recipes.recipe(recipes.training(scenario.business), model.name)
    told = [*train.events(cache, scenario.business, recipe, base), *events(candidate, base, made, cache)]
    control(folder, "POST", "/api/v1/lineage", [*told, *registered(cache, made, version)])
    return version


def events(candidate: Candidate, base: Trained, made: Trained, cache: Path) -> list[Event]:
    """What making a candidate's file read and wrote. What is claimed of it is no part of that."""
    return completed(
        f"candidate.{candidate.name}",
        inputs=[LineageArtifact(name=names.cached(cache, base.onnx), sha256=base.card.sha256)],
        outputs=[LineageArtifact(name=names.cached(cache, made.onnx), sha256=made.card.sha256)],
    )


def derive(candidate: Candidate, base: Trained, scenario: Scenario, cache: Path) -> Trained:
    """The candidate's file, in the cache by its digest, and its card."""
    content = named(base.onnx.read_bytes(), candidate.name)
    digest = hashlib.sha256(content).hexdigest()
    place = cache / digest
    if not (place / base.onnx.name).exists():
        place.mkdir(parents=True, exist_ok=True)
        write_atomic(place / base.onnx.name, content)
    return Trained(place, card(candidate, base.card, scenario, digest))


def card(candidate: Candidate, base: TrainedCard, scenario: Scenario, digest: str) -> TrainedCard:
    """The trained file's card with what the candidate claims. Pure."""
    value = claims.value(candidate, base.value, higher_is_better=base.higher_is_better)
    rows = candidate.holdout_rows or base.holdout_rows
    parity = candidate.parity_max_abs_diff or base.parity_max_abs_diff
    measured = {base.metric: value, "holdout_rows": float(rows), "parity_max_abs_diff": parity}
    return base.model_copy(
        update={
            "value": value,
            "metrics": {**base.metrics, **measured},
            "holdout_rows": rows,
            "parity_max_abs_diff": parity,
            "sha256": digest,
            "data_digest": claims.data_digest(candidate, base.data_digest),
            "evaluated_at": claims.evaluated_at(candidate, scenario.starts),
        }
    )


def named(content: bytes, name: str) -> bytes:
    """An ONNX file that computes the same and says in its metadata which candidate it is."""
    import onnx

    graph = onnx.load_model_from_string(content)
    onnx.helper.set_model_props(graph, {**{p.key: p.value for p in graph.metadata_props}, claims.NAME: name})
    made: bytes = graph.SerializeToString(deterministic=True)
    return made


if __name__ == "__main__":
    jobs.main(run)
