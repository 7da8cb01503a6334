"""What is granted and what may be retired, by the truths as by the rules as shipped."""

from __future__ import annotations

from datetime import timedelta

import pytest

from archlab_scenarios.approval_gates import setting_aside as aside
from shipped_gate import SEEDS, ShippedGate, untouched


@pytest.mark.parametrize("seed", SEEDS)
def test_what_still_stands_was_granted_by_the_rules_and_has_not_run_out(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    start, review = evidence.scenario.starts, aside.review(evidence)
    counted = start + timedelta(days=int(evidence.scenario.knobs["days-later"]))
    asked = {
        "dated": ("promotion/enough_holdout", "arrival-delay", "approver", aside.LAST_DAY),
        "counted": ("promotion/enough_holdout", "airport-congestion", "approver", counted.isoformat()),
        "four-eyes": ("promotion/approved_by_another", "departure-delay", "approver", aside.LAST_DAY),
        "own": ("promotion/enough_holdout", "cancellation-risk", "care-lead", aside.LAST_DAY),
    }
    ends = {"counted": counted}
    stands = {
        key
        for key, about in asked.items()
        if not gate.exception(evidence, *about) and ends.get(key, aside.ends()) > review
    }
    assert set(aside.set_aside(evidence, evidence.variant).answer) == (stands or {"none"})


@pytest.mark.parametrize("seed", SEEDS)
def test_a_model_is_retired_when_the_rules_let_it(gate: ShippedGate, seed: int) -> None:
    evidence = untouched(seed)
    objections = gate.retirement(evidence, "airport-congestion", aside.ends(), aside.review(evidence))
    assert ("retire" in aside.past_the_sunset(evidence, evidence.variant).answer) is (not objections)


def test_what_the_truth_takes_for_waivable_is(gate: ShippedGate) -> None:
    assert all(gate.waivable[rule] for rule in aside.WAIVABLE)
    assert not gate.waivable["promotion/approved_by_another"]


def test_both_decisions_differ_between_seeds() -> None:
    for truth in (aside.set_aside, aside.past_the_sunset):
        assert len({str(truth(untouched(seed), untouched(seed).variant).answer) for seed in SEEDS}) > 1
