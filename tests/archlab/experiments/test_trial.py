"""What decides a measurement, and what is refused before anything is measured."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.experiments.neighbours import Loudness
from archlab.experiments.trial import Conditions, check, digest, figures
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.experiments import Noise, NoiseFigures
from archlab.spec.scenario import Mode, ModelOverride, Overrides
from archlab.spec.tenancy import Isolation
from labs import still_lab
from synthetic import World
from trials import load

WHERE = Conditions(datetime(2013, 12, 9, 8, tzinfo=UTC), 1, 150.0, 10, "")


def _batch(model: str) -> Overrides:
    return Overrides(models={model: ModelOverride(mode=Mode.BATCH)})


def test_equal_designs_are_measured_once_and_others_again() -> None:
    scenario = World(seed=1).scenario
    first = digest(scenario, 1, _batch("flight-time"), WHERE, "data")
    assert digest(scenario, 1, _batch("flight-time"), WHERE, "data") == first
    others = {
        digest(scenario, 1, Overrides(), WHERE, "data"),
        digest(scenario, 1, _batch("flight-time"), WHERE, "other data"),
        digest(scenario, 2, _batch("flight-time"), WHERE, "data"),
        digest(scenario, 1, _batch("flight-time"), dataclasses.replace(WHERE, lose="online-0"), "data"),
        digest(scenario, 1, _batch("flight-time"), dataclasses.replace(WHERE, offered_per_s=99.0), "data"),
        digest(World(choices={"online-price": 1}).scenario, 1, _batch("flight-time"), WHERE, "data"),
        digest(scenario, 1, _batch("flight-time"), dataclasses.replace(WHERE, noisy="revenue"), "data"),
        digest(scenario, 1, _batch("flight-time"), dataclasses.replace(WHERE, noisy="revenue", noise_rows=9), "data"),
        *(
            digest(
                scenario, 1, _batch("flight-time"), dataclasses.replace(WHERE, noisy="revenue", loudness=loud), "data"
            )
            for loud in (Loudness(9, 9), Loudness(9, 8), Loudness(8, 9))
        ),
    }
    assert len(others | {first}) == 12


def test_all_designs_get_the_noise_of_the_first_that_had_any() -> None:
    noise = Noise(team="revenue", isolation=Isolation.NONE)
    loud = NoiseFigures(offered_per_s=74, rows=3000, answered_per_s=9, failures=0, requests=100, p50_ms=5)
    quiet = load("departure-delay")
    nothing_online = quiet.model_copy(update={"noise": noise})
    first = quiet.model_copy(update={"noise": noise.model_copy(update={"figures": loud})})
    other = loud.model_copy(update={"offered_per_s": 44, "rows": 2048})
    second = quiet.model_copy(update={"noise": noise.model_copy(update={"figures": other})})
    assert WHERE.as_loud_as([quiet]) == WHERE.as_loud_as([nothing_online]) == WHERE
    assert WHERE.as_loud_as([nothing_online, first]).as_loud_as([second]).loudness == Loudness(3000, 74)


def test_a_change_that_says_what_is_declared_is_the_same_design() -> None:
    scenario = World(seed=1).scenario
    said = Overrides(models={"flight-time": ModelOverride(mode=scenario.model("flight-time").mode)})
    assert digest(scenario, 1, said, WHERE, "data") == digest(scenario, 1, Overrides(), WHERE, "data")


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    folder = LabFolder(still_lab(tmp_path).root)
    folder.start.mkdir()
    return Lab(folder)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        (_batch("concorde"), "concorde"),
        (Overrides(feature_every={"moon": timedelta(hours=1)}), "moon"),
        (Overrides(models={"flight-time": ModelOverride(canary_percent=5)}), "canary"),
    ],
)
def test_what_can_not_be_planned_is_refused_before_anything_runs(lab: Lab, design: Overrides, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check(lab, design)


def test_a_load_that_sent_nothing_is_a_fault_of_ours() -> None:
    with pytest.raises(Exception, match="sent nothing"):
        figures({})
