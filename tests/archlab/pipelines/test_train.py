"""Real training of everything, once per digest of data and code; a minute on two cores the first time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from archlab import settings
from archlab.errors import NotFoundError
from archlab.pipelines import evaluate, export, recipes, train
from archlab.pipelines.device_support import node_support
from archlab.pipelines.recipes import Recipe
from archlab.pipelines.train import Trained

CONTENT = recipes.training("airline")
NAMES = [recipe.name for recipe in CONTENT.RECIPES]
HONEST = [recipe.name for recipe in CONTENT.RECIPES if recipe.variant == recipes.FIRST]
LEAKY = "missed-connection@v2-leaky"

pytestmark = pytest.mark.slow

EXPECTED = {
    "departure-delay": 0.71,
    "missed-connection": 0.73,
    "cancellation-risk": 0.79,
    "arrival-delay": 11.2,
    "flight-time": 5.9,
    "delay-recovery": 0.83,
    "airport-congestion": 3.7,
    "route-segments": 0.03,
    "aircraft-reliability": 0.72,
    "block-time-buffer": 4.7,
}
"""What each model reaches on the hold-out, rounded towards the worse."""


@pytest.fixture(scope="module")
def made() -> Mapping[str, Trained]:
    return train.ensure(settings.home() / "cache", "airline", CONTENT.RECIPES)


def recipe(name: str) -> Recipe:
    return next(r for r in CONTENT.RECIPES if r.name == name)


def frame(name: str, made: Mapping[str, Trained]) -> Path:
    return train.training_set(settings.home() / "cache", "airline", recipe(name))


@pytest.mark.parametrize("name", HONEST)
def test_each_model_beats_its_simple_rule(name: str, made: Mapping[str, Trained]) -> None:
    card = made[name].card
    better = card.value - card.baseline if card.higher_is_better else card.baseline - card.value
    assert better > 0.03 * card.baseline
    assert card.value >= EXPECTED[name] if card.higher_is_better else card.value <= EXPECTED[name]
    assert card.holdout_rows > 1000


@pytest.mark.parametrize("name", NAMES)
def test_the_exported_file_is_the_one_that_was_measured(name: str, made: Mapping[str, Trained]) -> None:
    found, card = made[name], made[name].card
    onnx = found.onnx.read_bytes()
    assert hashlib.sha256(onnx).hexdigest() == card.sha256
    assert card.parity_max_abs_diff <= export.MAX_ABS_DIFF
    assert json.loads((found.folder / "card.json").read_text())["sha256"] == card.sha256
    _, held_out = evaluate.read(recipe(name), frame(name, made))
    answers = export.predict(onnx, held_out.features)
    assert evaluate.measure(recipe(name), answers, held_out.actual) == pytest.approx(card.value)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_card_declares_of_devices_is_what_its_file_measures(name: str, made: Mapping[str, Trained]) -> None:
    import onnx

    support = node_support(onnx.load(str(made[name].onnx)))
    assert support.gains == recipe(name).card.gains_from_device, support.gain().because


@pytest.mark.parametrize("name", HONEST)
def test_the_hold_out_lies_after_everything_learned(name: str, made: Mapping[str, Trained]) -> None:
    table = pq.read_table(frame(name, made), columns=["holdout", "event_timestamp"]).to_pandas()
    asked = table.groupby("holdout")["event_timestamp"]
    assert asked.max()[False] < CONTENT.CUTOFF <= asked.min()[True]


@pytest.mark.parametrize("name", ["departure-delay", "arrival-delay", "aircraft-reliability"])
def test_no_entity_row_is_lost_or_doubled(name: str, made: Mapping[str, Trained], data: Path) -> None:
    entities = CONTENT.entities(data, recipe(name).spine)
    rows = pq.read_table(frame(name, made), columns=["row"])["row"].to_pylist()
    assert rows == entities["row"].tolist()
    assert len(set(rows)) == len(rows)


def test_the_second_missed_connection_collapses_without_what_nobody_knows(made: Mapping[str, Trained]) -> None:
    chosen, onnx = recipe(LEAKY), made[LEAKY].onnx.read_bytes()
    assert [column.name for column in chosen.columns[1:]] == [c.name for c in recipe("missed-connection").columns]
    _, held_out = evaluate.read(chosen, frame(LEAKY, made))
    served = held_out.features.copy()
    served[:, [column.name for column in chosen.columns].index("dep_delay")] = np.nan
    claimed = made[LEAKY].card.value
    honest = made["missed-connection"].card.value
    answers = export.predict(onnx, served)
    live = evaluate.measure(chosen, answers, held_out.actual)
    assert claimed > 0.95
    assert live < honest - 0.05
    assert (answers >= 0.25).mean() < 0.01  # it never raises an alarm


def test_what_the_cache_holds_is_not_trained_again(made: Mapping[str, Trained]) -> None:
    again = train.trained(settings.home() / "cache", "airline", Path(), "missed-connection")
    assert again == made["missed-connection"]


def test_an_unknown_variant_names_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match=r"no recipe for departure-delay v9.*missed-connection@v2-leaky"):
        recipes.recipe(CONTENT, "departure-delay", "v9")


@pytest.mark.parametrize("name", ["departure-delay", LEAKY])
def test_what_a_model_was_made_from_is_on_record_back_to_the_sources(name: str, made: Mapping[str, Trained]) -> None:
    cache, chosen = settings.home() / "cache", recipe(name)
    done = [e for e in train.events(cache, "airline", chosen, made[name]) if e["eventType"] == "COMPLETE"]
    jobs = [event["job"]["name"] for event in done]
    assert jobs == ["ingest.airline", "features.airline", f"training_set.{chosen.spine}", f"train.{name}"]
    ingest, features, training_set, training = done
    (output,), (learned,) = training["outputs"], training["inputs"]
    assert output["facets"]["version"]["datasetVersion"] == f"sha256:{made[name].card.sha256}"
    assert learned in [{**each, "inputFacets": {}} for each in _plain(training_set["outputs"])]
    known = _plain([*ingest["outputs"], *features["outputs"]])
    assert all(each in known for each in _plain(training_set["inputs"]))
    read = {each["name"].rpartition("/")[2] for each in training_set["inputs"]}
    assert read >= {"flights.parquet", *(f"{view}.parquet" for view in chosen.views)}
    assert training["run"]["facets"]["archlab_facts"]["facts"]["data_digest"] == made[name].card.data_digest


def _plain(datasets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{part: each[part] for part in ("namespace", "name", "facets")} for each in datasets]
