"""Solutions broken one by one are each caught; what was recorded of labs is what truths expect of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.grading.proof import recording
from archlab.grading.proof.findings import Check
from archlab.plan.loading import scenario_folder
from archlab.spec.drill_kinds import Replication
from archlab.spec.grading import Evidence
from archlab.spec.regions import Part
from archlab_scenarios.disaster_recovery import mistakes, promising, taking_over
from proofs import broken, proven

FOLDER = scenario_folder("disaster-recovery")
VARIANTS = 6
"""Enough for every solution below to go wrong in one of them."""
TAKES = recording.load(FOLDER)


@pytest.mark.parametrize(
    ("question", "old", "new", "check"),
    [
        ("how-many-failures", "waiting = (waiting + 1) / blip", "waiting = 1 / blip**2", Check.SOLUTION),
        ("first-move", 'return "isolate" if waits', 'return "failover" if waits', Check.SOLUTION),
        ("worth-first", "-_missed_usd(evidence, model)", "_missed_usd(evidence, model)", Check.SOLUTION),
        ("cheapest-for-promise", "decided = pair.decision_s if", "decided = 0 if", Check.SOLUTION),
        ("how-many-losses", "(pair.decision_s + START_S)", "START_S", Check.SOLUTION),
        ("keep-how-many", "kept + (noticed % every > 0)", "kept", Check.SOLUTION),
        ("what-comes-back", "copied = min(", "copied = max(", Check.SOLUTION),
        ("how-far-apart", "/ 2 * 200_000", "* 200_000", Check.SOLUTION),
        ("back-on-two-legs", '"archlab dr failback || true"', '"archlab dr failback"', Check.RECORDING),
    ],
)
def test_a_broken_solution_is_caught(tmp_path: Path, question: str, old: str, new: str, check: Check) -> None:
    folder = broken(FOLDER, tmp_path, old, new, within=question.replace("-", "_"))
    assert check in {f.check for f in proven(folder, question, variants=VARIANTS)}


def _after(question: str) -> list[Evidence]:
    return [take.solved[question].evidence for take in TAKES]


def test_nothing_was_lost_where_every_write_waits_and_something_where_none_does() -> None:
    for evidence in _after("what-is-lost"):
        seen = taking_over.newest_drill(evidence)
        assert seen is not None
        assert seen.measured is not None
        waits = seen.posture.replication is Replication.SYNCHRONOUS
        assert bool(seen.measured.lost) is not waits


def test_a_drill_of_another_posture_decides_nothing() -> None:
    for evidence in _after("what-is-lost"):
        facts = evidence.regions
        assert facts is not None
        others = tuple(
            d.model_copy(update={"posture": d.posture.model_copy(update={"latency_ms": 5.0})}) for d in facts.drills
        )
        without = evidence.model_copy(update={"regions": facts.model_copy(update={"drills": others})})
        assert taking_over.what_is_lost(without, without.variant).blocked


def test_the_watch_acts_by_itself_only_where_nothing_can_be_lost() -> None:
    for evidence in _after("by-itself"):
        pair = evidence.scenario.regions
        assert pair is not None
        waits = pair.of(Part.REGISTRY).replication is Replication.SYNCHRONOUS
        assert (taking_over.by_itself(evidence, evidence.variant).answer == ["taken-over"]) is waits


def test_a_failover_that_was_ordered_says_nothing_about_the_watch() -> None:
    acted = [e for e in _after("by-itself") if e.regions and e.regions.runbooks]
    assert acted
    for evidence in acted:
        facts = evidence.regions
        assert facts is not None
        ordered = tuple(t.model_copy(update={"by_itself": False}) for t in facts.runbooks)
        changed = evidence.model_copy(update={"regions": facts.model_copy(update={"runbooks": ordered})})
        assert "You ordered" in taking_over.by_itself(changed, changed.variant).blocked


def test_a_failover_whose_losses_were_accepted_is_not_lossless() -> None:
    for evidence in _after("back-on-two-legs"):
        facts = evidence.regions
        assert facts is not None
        assert taking_over.back_on_two_legs(evidence, evidence.variant).answer is True
        accepted = tuple(t.model_copy(update={"accepted_loss": True}) for t in facts.runbooks)
        changed = evidence.model_copy(update={"regions": facts.model_copy(update={"runbooks": accepted})})
        assert taking_over.back_on_two_legs(changed, changed.variant).answer is False
        assert mistakes.accepted_a_loss(changed, changed.variant)


def test_the_rto_counts_from_the_fault_and_its_runbook_was_measured() -> None:
    for evidence in _after("rto-from-fault"):
        done = taking_over.newest_failover(evidence)
        assert done is not None
        assert 0 < sum(done.seconds.values()) < 60
        assert done.ended is not None
        pair = evidence.scenario.regions
        assert pair is not None
        rto = taking_over.rto_from_fault(evidence, evidence.variant).answer
        assert rto > pair.decision_s + sum(done.seconds.values())


def test_one_drill_stands_for_designs_with_the_same_registry_and_money_tells_them_apart() -> None:
    for evidence in _after("promises-in-budget"):
        trial = evidence.design
        assert trial is not None
        for_all, weights = trial.naive
        assert for_all.drills == trial.reference.drills
        assert not weights.drills, "nothing of its registry is in the second region"
        (measured,) = [d.measured for d in trial.reference.drills]
        assert measured is not None
        assert measured.lost == ()
        pairs = [run.regions for run in (weights, trial.reference, for_all)]
        costs = [promising.standby(evidence, pair) for pair in pairs if pair is not None]
        assert costs == sorted(costs)
        assert len(set(costs)) == len(pairs)
