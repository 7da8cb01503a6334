"""The whole run, from the command line, with the bare application alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.serving.__main__ import BATCH, cells, chosen
from benchmarks.serving.contenders import ARCHLAB, RAW

ROOT = Path(__file__).parents[2]


def test_a_full_run_asks_for_everything_and_a_quick_one_for_less() -> None:
    asked = {(c.transport, c.rows, c.connections) for c in cells("trees", quick=False)}
    assert asked == {(t, r, n) for t in ("json", "binary", "grpc") for r in (1, BATCH) for n in (1, 16, 64)}
    quick = {(c.transport, c.rows, c.connections) for c in cells("trees", quick=True)}
    assert {("json", 1, n) for n in (1, 16, 64)} < quick < asked


def test_contenders_are_chosen_by_a_part_of_their_names() -> None:
    assert ARCHLAB in {contender.name for contender in chosen([])}
    assert {contender.name for contender in chosen(["BARE"])} == {RAW, "bare Starlette"}
    assert not chosen(["nobody"])


@pytest.mark.slow
def test_a_run_prints_tables_and_writes_every_round(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    options = ("--quick", "--only", RAW, "--rounds", "1", "--seconds", "0.1", "--no-pin", "--json", str(file))
    command = [sys.executable, "-m", "benchmarks.serving", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "## JSON, single rows, model `trees`" in done.stdout
    assert f"| 64 | {RAW} |" in done.stdout
    document = json.loads(file.read_text())
    assert {result["contender"] for result in document["results"]} == {RAW}
    assert all(result["rounds"][0]["rate"] > 0 for result in document["results"])


def test_a_name_that_nobody_has_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks.serving", "--only", "nobody"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no contender is called nobody; there are archlab_serving, bare ASGI" in done.stderr
