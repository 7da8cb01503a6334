"""Truths and solutions that reason about the gate agree with the rules as shipped, asked one by one."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from archlab.grading.proof import solutions
from archlab.plan.loading import load_scenario
from archlab.registry import evidence as ev
from archlab.registry.facts import fingerprint
from archlab.spec.grading import Evidence, VersionFacts
from archlab_scenarios.approval_gates import foreseeing, mistakes
from archlab_scenarios.approval_gates import standing as at
from shipped_gate import FOLDER, SEEDS, ShippedGate, approved, untouched


def _champions(evidence: Evidence) -> dict[str, VersionFacts]:
    return {m.name: at.champion(evidence, m.name) for m in evidence.scenario.models}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_forecast_of_the_solution_is_what_the_rules_say(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    champions, passed = _champions(evidence), 0
    for facts in at.waiting(evidence):
        if not gate.promotion(evidence, facts, champions[facts.model], evidence.clock):
            champions[facts.model] = facts
            passed += 1
    solution = solutions.load(FOLDER).functions["gets_through"]
    assert next(solution(evidence, evidence.variant)) == f"archlab answer gets-through -- {passed}"


def test_the_naive_forecasts_are_wrong_for_some_seed() -> None:
    assert any(mistakes.whoever_is_approved(untouched(s), untouched(s).variant) != 12 for s in SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_last_hour_no_approval_helps(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    facts = at.named(evidence, str(evidence.scenario.knobs["urgent"]))
    champion = _champions(evidence)[facts.model]
    last = evidence.scenario.starts + timedelta(hours=foreseeing.last_hour(evidence, evidence.variant).answer)

    def passes(when: datetime) -> bool:
        return not gate.promotion(evidence, approved(facts, when), champion, when)

    assert passes(last - timedelta(minutes=1))
    assert not any(passes(last + timedelta(hours=h, minutes=1)) for h in range(0, 31 * 24, 12))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_smallest_step_is_enough_and_a_smaller_one_is_not(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    facts = at.named(evidence, str(evidence.scenario.knobs["refused-one"]))
    now, champion = evidence.clock, _champions(evidence)[facts.model]
    fresh = {"archlab.evaluated_at": now.isoformat()}
    remeasured = facts.model_copy(update={"metrics": {**facts.metrics, "holdout_rows": 5000.0}})
    states = {
        "nothing": facts,
        "approval": approved(facts, now),
        "measure": approved(remeasured, now, fresh),
        "new-version": approved(remeasured, now, {**fresh, "archlab.parity_max_abs_diff": "0.0"}),
    }
    allowed = [key for key, state in states.items() if not gate.promotion(evidence, state, champion, now)]
    assert foreseeing.smallest_step(evidence, evidence.variant).answer == allowed[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_may_be_deleted_is_what_the_rules_let_go(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    when = evidence.scenario.starts + timedelta(days=int(evidence.scenario.knobs["review-days"]))
    versions = {
        "former": next(v for v in evidence.versions if (v.model, v.version) == ("flight-time", "1")),
        "champion": at.named(evidence, "flight-first"),
        "never": at.named(evidence, "connect-b"),
        "disputed": at.named(evidence, "cancel-b"),
    }
    going = {key for key, facts in versions.items() if not gate.deletion(evidence, facts, when)}
    assert set(foreseeing.may_be_deleted(evidence, evidence.variant).answer) == going


@pytest.mark.parametrize("seed", SEEDS)
def test_what_leaves_an_approval_good_passes_the_gate(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    facts = at.named(evidence, "congestion-b")
    champion = _champions(evidence)[facts.model]
    tag, days = str(evidence.scenario.knobs["edited-tag"]), int(evidence.scenario.knobs["days-later"])
    soon = evidence.clock + timedelta(hours=1)
    then = evidence.clock + timedelta(days=days)
    fresh = facts.model_copy(update={"tags": {**facts.tags, "archlab.evaluated_at": then.isoformat()}})
    fresh = approved(fresh, evidence.clock)
    passes = {
        "tag": gate.promotion(
            evidence, facts.model_copy(update={"tags": {**facts.tags, tag: "something else"}}), champion, soon
        ),
        "metric": gate.promotion(
            evidence, facts.model_copy(update={"metrics": {**facts.metrics, "brier": 0.1}}), champion, soon
        ),
        "challenger": gate.promotion(evidence, facts, champion, soon),
        "days": gate.promotion(evidence, fresh, champion, then),
    }
    holds = {key for key, objections in passes.items() if not objections}
    assert set(foreseeing.approval_holds(evidence, evidence.variant).answer) == holds


def test_a_challenger_is_asked_for_by_the_same_fingerprint() -> None:
    """Being challenger is an alias, no tag; the gate's fingerprint leaves aliases out."""
    facts = at.named(untouched(1), "congestion-b")
    assert fingerprint(facts) == fingerprint(facts.model_copy(update={"aliases": ("challenger",)}))


def test_every_attack_has_its_place_and_each_place_an_attack() -> None:
    declared = load_scenario(FOLDER / "scenario.yaml")
    (attacks,) = [v.choices for v in declared.variations if v.name == "attack"]
    assert set(attacks) == set(foreseeing.STOPPED)
    assert len(set(foreseeing.STOPPED.values())) == len(attacks)


def test_the_margin_grows_with_the_tries_and_falls_with_the_rows() -> None:
    evidence = untouched(1)
    assert foreseeing.luck(evidence, 40) > foreseeing.luck(evidence, 12) > foreseeing.luck(evidence, 1) > 0
    assert mistakes.rows_forgotten(evidence, evidence.variant) > foreseeing.luck(evidence, foreseeing.tries(evidence))


def test_holds_are_those_that_the_scenario_declares() -> None:
    evidence = untouched(1)
    for candidate in evidence.scenario.candidates:
        assert at.named(evidence, candidate.name).tags.get(ev.HOLD, "") == candidate.hold
