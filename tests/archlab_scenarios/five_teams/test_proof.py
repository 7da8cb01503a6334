"""Solutions broken one by one are each caught; what was recorded of labs is what truths expect of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from archlab.grading import content
from archlab.grading.proof import recording, wrong
from archlab.grading.proof.findings import Check
from archlab.plan.loading import scenario_folder
from archlab_scenarios.five_teams import apart, standing
from proofs import broken, proven

FOLDER = scenario_folder("five-teams")
VARIANTS = 4
"""Enough for every solution below to go wrong in one of them."""


@pytest.mark.parametrize(
    ("question", "old", "new", "check"),
    [
        ("whom-to-ask", "return bool(money), bool(memory)", "return bool(money), False", Check.SOLUTION),
        ("what-holds-it", "min(rate, 100) * each", "rate * each", Check.SOLUTION),
        (
            "leaving-saves",
            "sum(m.cpu_millicores * m.replicas for m in own)",
            "sum(m.cpu_millicores for m in own)",
            Check.SOLUTION,
        ),
        ("fair-share", '"peak" if "busiest" in driver', '"use" if "busiest" in driver', Check.SOLUTION),
        ("whose-record", 'return "by-team"', 'return "shared"', Check.SOLUTION),
        ("who-may-lend", 'return ["learner", LEADS', 'return ["approver", LEADS', Check.SOLUTION),
        ("job-on-the-bill", "'its own job'", "'its job'", Check.RECORDING),
    ],
)
def test_a_broken_solution_is_caught(tmp_path: Path, question: str, old: str, new: str, check: Check) -> None:
    folder = broken(FOLDER, tmp_path, old, new)
    assert check in {f.check for f in proven(folder, question, variants=VARIANTS)}


def test_a_noisy_trial_without_a_design_that_lets_the_noise_through_compares_with_nothing() -> None:
    question = content.load(FOLDER).question("hold-the-neighbour")
    pack, takes = content.load(FOLDER), recording.load(FOLDER)
    assert list(wrong.naive_designs(pack, question, takes)) == []
    solved = takes[0].solved[question.id]
    trial = solved.evidence.design
    assert trial is not None
    evidence = solved.evidence.model_copy(update={"design": trial.model_copy(update={"naive": trial.naive[1:]})})
    lacking = replace(takes[0], solved={question.id: replace(solved, evidence=evidence)})
    found = next(iter(wrong.naive_designs(pack, question, [lacking])))
    assert "nothing between the noisy team and the others" in found.expected
    assert found.found == "servers-for-each"


def test_the_gate_said_what_the_truth_expects_of_every_change() -> None:
    """The truth prices a change as the rule was asked about it in a real lab; refusals among them."""
    said = set()
    for take in recording.load(FOLDER):
        evidence = take.solved["what-quotas-say"].evidence
        for key, changes in standing.TRIED.items():
            refused = not standing.logged(evidence, changes)
            assert refused is bool(standing.broken(evidence, changes)), key
            said.add((key, refused))
    assert {key for key, refused in said if not refused}
    assert len({key for key, refused in said if refused}) > 1


def test_a_burst_within_a_tick_passes_a_quota_that_stops_others() -> None:
    for take in recording.load(FOLDER):
        evidence = take.solved["quota-that-bites"].evidence
        truth = apart.quota_that_bites(evidence, evidence.variant)
        assert evidence.variant.chosen["cut-daily"] not in truth.answer


def test_whoever_was_noisy_was_held_by_the_reference_and_by_nothing_as_declared() -> None:
    for take in recording.load(FOLDER):
        trial = take.solved["hold-the-neighbour"].evidence.design
        assert trial is not None
        nothing, pools = trial.naive
        assert apart.hold_the_neighbour(take.solved["hold-the-neighbour"].evidence, take.start.variant).answer == 1
        for run in (nothing, pools, trial.reference):
            assert run.loads
            for load in run.loads:
                assert load.noise is not None
                assert load.noise.figures is not None
                assert load.noise.figures.requests > 0
        held = sum(day.cost_nanousd for day in pools.days), sum(day.cost_nanousd for day in trial.reference.days)
        assert held[0] > held[1]
