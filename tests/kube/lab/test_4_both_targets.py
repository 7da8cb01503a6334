"""The same scenario on both targets: the same answers, the same bill for capacity, the same truths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from archlab.grading import content
from archlab.lab import Lab, open_lab
from archlab.lab.evidence import collect
from archlab.spec.grading import Evidence, QuestionKind
from harness import Cli
from lab_pods import NAME

HERE = "kube-twin"
COMPUTED = (QuestionKind.CHOICE, QuestionKind.NUMERIC, QuestionKind.MULTI, QuestionKind.ORDER)


@pytest.fixture(scope="module")
def days(cli: Cli, lab: Lab) -> Iterator[dict[str, tuple[Any, Evidence]]]:
    """One business day from the start, as pods and as processes."""
    cli.ok("reset", "--lab", NAME, timeout_s=400)
    cli.ok("up", "ten-models", "--lab", HERE, timeout_s=600)
    found = {}
    for name in (NAME, HERE):
        replayed = cli.json("clock", "advance", "1d", "--lab", name, timeout_s=500)
        found[name] = (replayed, collect(open_lab(name)))
    yield found
    cli.ok("down", "--lab", HERE, "--purge")


def test_the_same_seed_lives_the_same_day(days: dict[str, tuple[Any, Evidence]]) -> None:
    (pods, _), (processes, _) = days[NAME], days[HERE]
    assert pods["requests"] == processes["requests"] > 5000
    assert pods["digest"] == processes["digest"]


def test_the_same_questions_have_the_same_truths(lab: Lab, days: dict[str, tuple[Any, Evidence]]) -> None:
    pack = content.load(lab.content)
    compared = 0
    for question in pack.questions:
        if question.kind in COMPUTED:
            pods, processes = (pack.truth(question)(e, e.variant) for _, e in (days[NAME], days[HERE]))
            assert _alike(pods.answer, processes.answer), question.id
            assert pods.blocked == processes.blocked
            compared += not pods.blocked
    assert compared >= 5


def _alike(one: Any, other: Any) -> bool:
    """Decisions are equal, figures nearly: processor time is measured."""
    return bool(one == pytest.approx(other)) if isinstance(one, int | float) else bool(one == other)


def test_capacity_costs_the_same(days: dict[str, tuple[Any, Evidence]]) -> None:
    def reserved(evidence: Evidence) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for line in evidence.lines:
            if line.kind in ("used", "idle") and line.mode == "online":
                key = (line.model, line.resource)
                found[key] = found.get(key, 0) + line.cost_nanousd
        return found

    pods, processes = reserved(days[NAME][1]), reserved(days[HERE][1])
    assert pods.keys() == processes.keys()
    for key, cost in pods.items():
        assert cost == pytest.approx(processes[key], abs=100), key
    assert {m.model: m.on_time for m in days[NAME][1].scoreboard.models}.keys() == {
        m.model for m in days[HERE][1].scoreboard.models
    }
