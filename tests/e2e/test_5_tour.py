"""The tour, start to end, and the questions after it."""

from __future__ import annotations

import pytest

from archlab.lab import Lab
from harness import Cli

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def toured(cli: Cli, lab: Lab) -> str:
    """Output of an unattended tour from the scenario's start."""
    cli.ok("reset")
    return cli.ok("tour", "--yes", "--solution")


def test_the_leaky_version_collapses_is_rolled_back_and_refused(cli: Cli, toured: str) -> None:
    records = cli.json("policy", "decisions")
    second = [
        r
        for r in records
        if (r["query"]["resource"]["name"], r["query"]["resource"]["version"]) == ("missed-connection", "2")
    ]
    assert [r["decision"]["allow"] for r in second if r["query"]["action"] == "promotion/champion"] == [True, False]
    assert "inputs_known_at_prediction" in {
        reason["rule"].split("/")[-1] for reason in second[-1]["decision"]["reasons"]
    }
    serving = {m["model"]: m["version"] for m in cli.json("models")}
    assert serving["missed-connection"] == "1"


def test_the_collapse_is_in_the_labelled_quality_not_in_the_latency(cli: Cli, toured: str) -> None:
    days = cli.json("score", "--by-day")
    first, second = ({m["model"]: m for m in day["models"]}["missed-connection"] for day in days[:2])
    assert first["quality"] - second["quality"] > 0.1
    assert second["late"] / second["requests"] <= first["late"] / first["requests"] + 0.02


def test_questions_are_graded_from_this_lab(cli: Cli, toured: str) -> None:
    questions = cli.json("questions")
    assert len(questions) >= 8
    assert {q["kind"] for q in questions} >= {"choice", "numeric", "predict", "state"}
    cli.ok("grade")
