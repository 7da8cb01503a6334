"""`archlab sweep` and `archlab design` where nothing runs: what can't be read or done is said plainly."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from archlab.cli import main
from archlab.grading.content import load
from archlab.grading.practice import Practice
from archlab.lab import records
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from labs import still_lab
from sweeps import losses
from synthetic import World, ten_models
from trials import trial

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> LabFolder:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("ARCHLAB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")
    return still_lab(home)


@pytest.fixture
def run(lab: LabFolder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    def command(*args: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["archlab", *args, "--lab", lab.name])
        code = 0
        try:
            main()
        except SystemExit as error:
            code = int(error.code or 0)
        said = capfd.readouterr()
        return code, said.out + said.err

    return command


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("load", "concorde"), "no model"),
        (("load", "departure-delay", "--replicas", "9"), "1 to 8 replicas"),
        (("load", "departure-delay", "--replicas", "two"), "no list of numbers"),
        (("load", "departure-delay", "--share", "0"), "above 0"),
        (("load", "route-segments"), "from a table"),
        (("materialisation", "flight-time", "moon"), "no feature view"),
        (("materialisation", "flight-time", "corridor", "--every", "soon"), "not a span"),
    ],
)
def test_what_can_not_be_swept_is_said_before_anything_runs(run: Run, args: tuple[str, ...], said: str) -> None:
    code, shown = run("sweep", *args)
    assert code == 1
    assert said in shown


def test_recorded_sweeps_are_shown_with_what_was_promised(run: Run, lab: LabFolder) -> None:
    assert "No sweep was recorded yet" in run("sweep", "show")[1]
    records.keep_sweep(Lab(lab), losses({1_800: (0, 0), 86_400: (0.5, 1.5)}))
    shown = run("sweep", "show")[1]
    assert "1 (0.5 to 1.5)" in shown
    assert "30 min" in shown
    assert "worse than with the freshest" in shown


def test_a_design_is_shown_again_with_the_lab_down(run: Run, lab: LabFolder) -> None:
    code, shown = run("design", "design-for-tomorrow")
    assert code == 1
    assert "No design was measured" in shown
    practice = Practice(load(ten_models()), lab.root, World().evidence, lambda *_: trial(15))
    assert practice.answer("design-for-tomorrow", "models: {flight-time: {replicas: 1}}").points == 12.5
    code, shown = run("design", "design-for-tomorrow")
    assert code == 0
    assert "50% of the way" in shown
    page = lab.root / "designs" / "design-for-tomorrow.html"
    assert "<svg" in page.read_text()


def test_a_file_that_is_not_there_spends_no_attempt(run: Run) -> None:
    code, shown = run("answer", "design-for-tomorrow", "nowhere.yaml")
    assert code == 1
    assert "nowhere.yaml can't be read" in shown
