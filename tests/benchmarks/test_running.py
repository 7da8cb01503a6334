"""Servers of a run: real ones, started, held to the model, ended; and those that can't take part."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest
from benchmarks.serving.contenders import RAW, Contender, Site, all_contenders
from benchmarks.serving.environments import NotBuiltError, ensure
from benchmarks.serving.machine import Cores
from benchmarks.serving.models import COLUMNS, BenchmarkModel
from benchmarks.serving.processes import Command
from benchmarks.serving.rounds import Cell, Schedule, run
from benchmarks.serving.running import WrongAnswerError, start, verify
from benchmarks.serving.wire import Matrix
from tests.archlab_serving.conftest import linear_model


class Other(BenchmarkModel):
    """Says something else than its file."""

    def predict(self, matrix: Matrix) -> Matrix:
        doubled: Matrix = super().predict(matrix) * 2
        return doubled


def quiet(_: str) -> None:
    """Progress goes nowhere."""


@pytest.fixture
def model(tmp_path: Path) -> BenchmarkModel:
    path = tmp_path / "linear.onnx"
    path.write_bytes(linear_model([0.1] * COLUMNS))
    return BenchmarkModel("linear", "a line", path)


@pytest.fixture
def bare() -> Contender:
    (found,) = (contender for contender in all_contenders() if contender.name == RAW)
    return found


def test_a_bare_application_is_started_measured_and_ended(
    bare: Contender, model: BenchmarkModel, tmp_path: Path
) -> None:
    cell = Cell("linear", "json", 1, 4)
    with start([bare], model, tmp_path / "run", Cores(), 2, quiet) as running:
        verify(running, (1, 8), ("json",), quiet)
        (runner,) = running.runners
        results = run(running, [cell], Schedule(0.1, 2), quiet)
        family = runner.server.family()
        memory = runner.server.memory()
    assert len(runner.start_s) == 2
    taken = results[cell][RAW]
    assert len(taken) == 2
    assert all(r.rate > 10 and r.p50_us <= r.p99_us for r in taken)
    assert memory.processes == len(family) == 1
    assert memory.rss > 10e6
    assert not any(psutil.pid_exists(process.pid) for process in family)


def test_other_predictions_end_the_run(bare: Contender, model: BenchmarkModel, tmp_path: Path) -> None:
    lying = Other(model.name, model.title, model.path)
    with (
        pytest.raises(WrongAnswerError, match="8 rows over json differ"),
        start([bare], lying, tmp_path / "run", Cores(), 1, quiet) as running,
    ):
        verify(running, (8,), ("json",), quiet)


def test_who_does_not_start_is_absent_with_the_end_of_its_log(
    bare: Contender, model: BenchmarkModel, tmp_path: Path
) -> None:
    def ends(site: Site) -> Command:
        return site.command(sys.executable, "-c", "raise SystemExit('no such model')")

    broken = Contender("broken", "", ends)
    with start([broken, bare], model, tmp_path / "run", Cores(), 1, quiet) as running:
        assert [runner.contender.name for runner in running.runners] == [RAW]
    assert running.absent["broken"].startswith("not started: the server ended with 1")
    assert "no such model" in running.absent["broken"]


def test_an_environment_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    (tmp_path / "codecs").write_text("")
    with pytest.raises(NotBuiltError, match="`uv venv --quiet` failed: "):
        ensure("codecs", quiet, tmp_path)
