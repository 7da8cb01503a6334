"""`python -m archlab.pipelines.train [MODEL ...]`: data, training sets, models; what the cache holds is kept.

A model is fitted on what was asked before the cutoff, evaluated on what came after it against the simple rule of its
card, exported to ONNX, and compared with scikit-learn answer by answer. `cache/models/<digest>/` then holds
`model.onnx` and `card.json`; the digest covers data, code, recipe and the libraries' versions.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import Field

from archlab import jobs
from archlab.errors import ArchlabError
from archlab.files import file_sha256, write_atomic
from archlab.lineage import names, spool
from archlab.lineage.events import Event, completed
from archlab.pipelines import data as typed
from archlab.pipelines import recipes
from archlab.pipelines.evaluate import evaluate
from archlab.pipelines.recipes import Recipe
from archlab.pipelines.training_sets import Builder, Frame, events_of
from archlab.settings import LabFolder
from archlab.spec.base import Sha256, Spec, UtcTime
from archlab.spec.lineage import LineageArtifact
from archlab.spec.release import Column
from archlab.spec.scenario import Scenario

BASE = recipes.FIRST
LIBRARIES = ("duckdb", "feast", "numpy", "onnx", "onnxruntime", "pyarrow", "scikit-learn", "skl2onnx")


class TrainedCard(Spec):
    """Evidence about one trained file: `card.json` beside `model.onnx`."""

    model: str
    variant: str
    kind: str
    """What it answers: `classification`, `estimate` or `clusters`."""
    algorithm: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    feature_service: str
    params: dict[str, str]
    metric: str
    higher_is_better: bool
    value: float
    """The metric on the hold-out."""
    baseline: float
    """The same of the simple rule."""
    metrics: dict[str, float]
    train_rows: int
    holdout_rows: int
    train_cpu_seconds: float = Field(default=0.0, ge=0)
    """Processor time of fitting, evaluating and exporting it; 0 where nobody measured."""
    parity_max_abs_diff: float
    sha256: Sha256
    data_digest: str
    code_version: str
    libraries: dict[str, str]
    """What it was trained and exported with: versions by name on PyPI."""
    trained_at: UtcTime
    evaluated_at: UtcTime


@dataclass(frozen=True, slots=True)
class Trained:
    """One trained model in the cache."""

    folder: Path
    card: TrainedCard

    @property
    def onnx(self) -> Path:
        """Its ONNX file."""
        return self.folder / "model.onnx"


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body: every variant of the lab's models, or of those named."""
    parser = argparse.ArgumentParser(prog="archlab.pipelines.train")
    parser.add_argument("models", nargs="*")
    chosen = parser.parse_args(arguments)
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    names = set(chosen.models or [model.name for model in scenario.models])
    wanted = [r for r in recipes.training(scenario.business).RECIPES if r.card.name in names]
    made = ensure(folder.cache, scenario.business, wanted)
    return {"models": {name: {"value": t.card.value, "baseline": t.card.baseline} for name, t in made.items()}}


@lru_cache(1)
def libraries() -> dict[str, str]:
    """Versions, here and now, of what decides what a trained file computes."""
    return {name: version(name) for name in LIBRARIES}


def trained(cache: Path, business: str, _data: Path, model: str, variant: str = BASE) -> Trained:
    """One model, trained now when the cache does not hold it.

    Raises:
        NotFoundError: there is no such model or variant.
    """
    recipe = recipes.recipe(recipes.training(business), model, variant)
    return ensure(cache, business, [recipe])[recipe.name]


def ensure(cache: Path, business: str, wanted: Sequence[Recipe]) -> dict[str, Trained]:
    """Trained models by recipe name; trains those that the cache lacks."""
    data_digest, code = typed.digest(business), recipes.code_digest(business)
    places = {recipe.name: cache / "models" / _digest(recipe, data_digest, code) for recipe in wanted}
    missing = [recipe for recipe in wanted if not places[recipe.name].is_dir()]
    if missing:
        _train(cache, business, missing, places, data_digest, code)
    else:
        typed.ensure(cache, business)
    return {name: _read(place) for name, place in places.items()}


def training_set(cache: Path, business: str, recipe: Recipe) -> Path:
    """Where the frame lies that a recipe learns from; there once it was trained."""
    return _sets(cache, typed.digest(business), recipes.code_digest(business)) / f"{recipe.spine}.parquet"


def events(cache: Path, business: str, recipe: Recipe, model: Trained) -> list[Event]:
    """What is on record of a model's making: its data, its training set, its training. What is lost is left out."""
    data, frame = typed.data_folder(cache, business), training_set(cache, business, recipe)
    return [
        event for path in (data / spool.NAME, events_of(frame), model.folder / spool.NAME) for event in spool.kept(path)
    ]


def _sets(cache: Path, data_digest: str, code: str) -> Path:
    return cache / "training" / hashlib.sha256((data_digest + code).encode()).hexdigest()


def _train(
    cache: Path, business: str, missing: Sequence[Recipe], places: dict[str, Path], data_digest: str, code: str
) -> None:
    warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
    sets = _sets(cache, data_digest, code)
    sets.mkdir(parents=True, exist_ok=True)
    spines = list(dict.fromkeys(recipe.spine for recipe in missing))
    done, evaluated_at = 0, recipes.training(business).EVALUATED_AT
    with Builder(business, spines, sets) as builder:
        jobs.report("data", "flights, weather, aircraft, feature views")
        data = typed.ensure(cache, business)
        jobs.report("training sets", "point-in-time joins through Feast", 0, len(spines))
        _warm_up()
        for frame in builder.frames(data):
            for recipe in (r for r in missing if r.spine == frame.spine):
                done += 1
                jobs.report("train", recipe.card.name, done, len(missing))
                _make(recipe, frame, places[recipe.name], data_digest, code, evaluated_at)


def _warm_up() -> None:
    """Import what fitting and exporting need while the other process joins."""
    import onnxruntime  # noqa: F401
    import skl2onnx  # noqa: F401
    import sklearn.ensemble  # noqa: F401

    limits = importlib.import_module("threadpoolctl").threadpool_limits
    # The joining process has the other core: threads that wait for each other by spinning cost both their time.
    limits(1)


def _make(recipe: Recipe, frame: Frame, place: Path, data_digest: str, code: str, evaluated_at: datetime) -> None:
    began, spent, began_at = time.monotonic(), time.process_time(), datetime.now(UTC)
    result = evaluate(recipe, frame.path)
    card = recipe.card
    if (result.value > result.baseline) is not card.higher_is_better:
        raise ArchlabError(
            f"{recipe.name} does not beat its rule: {card.metric} {result.value:.4f}, not {result.baseline:.4f}.",
            "Its recipe needs work.",
        )
    now, sha256 = datetime.now(UTC), hashlib.sha256(result.onnx).hexdigest()
    evidence = TrainedCard(
        model=card.name,
        variant=recipe.variant,
        kind=card.kind,
        algorithm=card.algorithm,
        columns=recipe.columns,
        keys=card.keys,
        feature_service=recipe.feature_service,
        params={name: str(value) for name, value in recipe.params.items()},
        metric=card.metric,
        higher_is_better=card.higher_is_better,
        value=result.value,
        baseline=result.baseline,
        metrics={
            card.metric: result.value,
            f"baseline_{card.metric}": result.baseline,
            "parity_max_abs_diff": result.parity_max_abs_diff,
            "train_rows": result.train_rows,
            "holdout_rows": result.holdout_rows,
            "train_seconds": round(time.monotonic() - began, 3),
        },
        train_rows=result.train_rows,
        holdout_rows=result.holdout_rows,
        train_cpu_seconds=round(time.process_time() - spent, 3),
        parity_max_abs_diff=result.parity_max_abs_diff,
        sha256=sha256,
        data_digest=data_digest,
        code_version=code,
        libraries=libraries(),
        trained_at=now,
        evaluated_at=evaluated_at,
    )
    cache = place.parent.parent
    said = completed(
        f"train.{recipe.name}",
        inputs=[LineageArtifact(name=names.cached(cache, frame.path), sha256=file_sha256(frame.path))],
        outputs=[LineageArtifact(name=names.cached(cache, place / "model.onnx"), sha256=sha256)],
        facts={"data_digest": data_digest, "code_version": code, "algorithm": card.algorithm},
        began=began_at,
    )
    _write(place, result.onnx, evidence, said)


def _write(place: Path, onnx: bytes, card: TrainedCard, said: list[Event]) -> None:
    part = place.with_name(f".{place.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    write_atomic(part / "model.onnx", onnx)
    write_atomic(part / "card.json", card.model_dump_json(indent=2) + "\n")
    spool.keep(part / spool.NAME, said)
    if not place.is_dir():
        part.rename(place)


def _read(place: Path) -> Trained:
    return Trained(place, TrainedCard.model_validate_json((place / "card.json").read_bytes()))


def _digest(recipe: Recipe, data_digest: str, code: str) -> str:
    params = {k: str(v) for k, v in recipe.params.items()}
    settings = [recipe.name, recipe.spine, recipe.train_rows, params, libraries()]
    return hashlib.sha256(json.dumps([data_digest, code, settings]).encode()).hexdigest()


if __name__ == "__main__":
    jobs.main(run)
