"""Truths about decisions: what counts as asked, in which order, about which evidence, under which rules."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

import pytest

from archlab.grading.content import TruthFunction
from archlab.grading.proof import recording
from archlab.plan.loading import scenario_folder
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import DecisionRecord, Reason
from archlab_scenarios.approval_gates import asking, mistakes
from archlab_scenarios.approval_gates import standing as at

FOLDER = scenario_folder("approval-gates")


@cache
def solved(question: str, take: int = 0) -> Evidence:
    """A recorded lab after the reference's script."""
    return recording.load(FOLDER)[take].solved[question].evidence


def _with_decisions(evidence: Evidence, decisions: list[DecisionRecord]) -> Evidence:
    return evidence.model_copy(update={"decisions": tuple(decisions)})


def _about(evidence: Evidence, candidate: str) -> list[DecisionRecord]:
    return at.asked(evidence, at.named(evidence, candidate))


def _changed(evidence: Evidence, facts: VersionFacts, **update: object) -> Evidence:
    made = facts.model_copy(update=update)
    return evidence.model_copy(update={"versions": tuple(made if v == facts else v for v in evidence.versions)})


def test_who_was_not_asked_about_is_named() -> None:
    evidence = solved("gets-through")
    missing = {d.id for d in _about(evidence, "flight-a")}
    found = asking.gets_through(
        _with_decisions(evidence, [d for d in evidence.decisions if d.id not in missing]), evidence.variant
    )
    assert found.blocked.endswith("flight-a.")


def test_another_order_is_another_experiment() -> None:
    evidence = solved("gets-through")
    (first, *_), (last, *_) = _about(evidence, "delay-a"), _about(evidence, "congestion-b")
    swapped = {
        first.id: first.model_copy(update={"sequence": last.sequence}),
        last.id: last.model_copy(update={"sequence": first.sequence}),
    }
    mixed = _with_decisions(evidence, [swapped.get(d.id, d) for d in evidence.decisions])
    assert "another order" in asking.gets_through(mixed, evidence.variant).blocked


def test_another_day_is_another_experiment() -> None:
    evidence = solved("gets-through")
    late = [d.model_copy(update={"business_time": d.business_time + timedelta(days=1)}) for d in evidence.decisions]
    assert "another day" in asking.gets_through(_with_decisions(evidence, late), evidence.variant).blocked


@pytest.mark.parametrize(
    ("question", "truth"),
    [("gets-through", asking.gets_through), ("in-the-freeze", asking.passes_in_the_freeze)],
)
def test_rules_of_the_learners_are_no_rules_as_shipped(question: str, truth: TruthFunction) -> None:
    evidence = solved(question)

    def own(decision: DecisionRecord) -> DecisionRecord:
        reasons = tuple(r.model_copy(update={"rule": "promotion/mine"}) for r in decision.decision.reasons)
        return decision.model_copy(update={"decision": decision.decision.model_copy(update={"reasons": reasons})})

    found = truth(_with_decisions(evidence, [own(d) for d in evidence.decisions]), evidence.variant)
    assert found.blocked == asking.OWN_RULES


@pytest.mark.parametrize("update", [{"approved_by": "care-lead"}, {"metrics": {"mae": 1.0}}])
def test_a_decision_about_other_evidence_does_not_count(update: dict[str, object]) -> None:
    evidence = solved("gets-through")
    changed = _changed(evidence, at.named(evidence, "flight-a"), **update)
    assert asking.gets_through(changed, evidence.variant).blocked


def test_only_the_first_time_of_asking_counts() -> None:
    evidence = solved("gets-through")
    again = [d.model_copy(update={"sequence": 1000 + d.sequence}) for d in evidence.decisions]
    found = asking.gets_through(_with_decisions(evidence, [*evidence.decisions, *again]), evidence.variant)
    assert found.answer == asking.gets_through(evidence, evidence.variant).answer


def test_a_move_before_the_freeze_is_none_in_it() -> None:
    evidence = solved("in-the-freeze")
    early = [d.model_copy(update={"business_time": evidence.scenario.starts}) for d in evidence.decisions]
    assert asking.passes_in_the_freeze(_with_decisions(evidence, early), evidence.variant).blocked


def test_a_release_that_does_not_follow_is_not_live() -> None:
    evidence = solved("only-the-honest")
    assert asking.only_the_honest(evidence, evidence.variant).answer is True
    stuck = evidence.model_copy(update={"releases": ()})
    assert asking.only_the_honest(stuck, evidence.variant).answer is False


def test_a_flawed_champion_and_a_wronged_candidate_are_told_apart() -> None:
    wrong = recording.load(FOLDER)[0].wrong
    for mistake, other in (("lets_flawed_through", "refuses_honest"), ("refuses_honest", "lets_flawed_through")):
        lab = wrong["only-the-honest", mistake]
        assert getattr(mistakes, mistake)(lab, lab.variant)
        assert not getattr(mistakes, other)(lab, lab.variant)


def test_rules_that_refuse_nobody_of_their_own_are_not_enough() -> None:
    """The same refusals, by rules that ship."""
    evidence = solved("only-the-honest")

    def shipped(decision: DecisionRecord) -> DecisionRecord:
        reasons = tuple(
            r if r.rule in at.SHIPPED else Reason(rule="promotion/enough_holdout", code="too_few", message="")
            for r in decision.decision.reasons
        )
        return decision.model_copy(update={"decision": decision.decision.model_copy(update={"reasons": reasons})})

    found = asking.only_the_honest(
        _with_decisions(evidence, [shipped(d) for d in evidence.decisions]), evidence.variant
    )
    assert found.answer is False


def test_two_people_are_asked_of_the_evidence_not_of_the_log() -> None:
    evidence = recording.load(FOLDER)[0].start
    first = at.named(evidence, "flight-first")
    tags = {**first.tags, "archlab.requested_by": "approver"}
    found = asking.two_people(_changed(evidence, first, tags=tags), evidence.variant)
    assert "flight-first" in found.answer
    assert found.facts["promotions"] == 8
