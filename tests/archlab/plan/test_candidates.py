"""Declared candidates: what they claim, what a seed changes of them, which declarations are faults."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from archlab.errors import SpecError
from archlab.plan import candidates as claims
from archlab.plan.resolve import check, vary
from archlab.spec.candidates import Candidate
from archlab.spec.scenario import Scenario, Variation
from synthetic import declared

PLAIN = Candidate(name="first-try", model="flight-time", approved_by="approver", better_percent=2)


def _with(*candidates: Candidate) -> Scenario:
    return Scenario.model_validate({**declared().model_dump(), "candidates": [c.model_dump() for c in candidates]})


def test_better_means_less_where_less_is_better() -> None:
    assert claims.value(PLAIN, 5.0, higher_is_better=False) == pytest.approx(4.9)
    assert claims.value(PLAIN, 0.7, higher_is_better=True) == pytest.approx(0.714)


def test_an_amended_claim_replaces_the_first_one() -> None:
    amended = PLAIN.model_copy(update={"amended_percent": 4.0})
    assert claims.value(amended, 0.5, higher_is_better=True, amended=True) == pytest.approx(0.52)
    assert claims.value(amended, 0.5, higher_is_better=True) == pytest.approx(0.51)


def test_other_data_has_a_digest_of_its_own() -> None:
    other = PLAIN.model_copy(update={"holdout": "november-only"})
    assert claims.data_digest(PLAIN, "d") == "d"
    assert len(claims.data_digest(other, "d")) == 64
    assert claims.data_digest(other, "d") != claims.data_digest(other, "e")


def test_tags_say_who_asked_only_where_somebody_did() -> None:
    assert claims.own_tags(PLAIN) == {claims.NAME: "first-try"}
    asked = PLAIN.model_copy(update={"requested_by": "learner"})
    assert claims.own_tags(asked)[claims.REQUESTED_BY] == "learner"


def test_a_seed_changes_one_field_of_one_candidate() -> None:
    other = PLAIN.model_copy(update={"name": "second-try"})
    scenario = _with(PLAIN, other)
    age = Variation(name="age", path="candidates.second-try.evaluated_before", choices=("P12D", "P35D"))
    found = vary(scenario, age, "P35D")
    assert found.candidates == (PLAIN, other.model_copy(update={"evaluated_before": timedelta(days=35)}))


@pytest.mark.parametrize(
    ("path", "choice"),
    [("candidates.nobody.approved_by", "approver"), ("candidates.first-try.approved_by", "a-stranger")],
)
def test_a_variation_that_fits_nothing_is_a_fault(path: str, choice: str) -> None:
    scenario = _with(PLAIN)
    variation = Variation(name="wrong", path=path, choices=(choice, choice))
    with pytest.raises(SpecError, match="wrong"):
        check(scenario.model_copy(update={"variations": (variation,)}))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"model": "no-such-model"}, "not declared"),
        ({"approved_by": "a-stranger"}, "a-stranger"),
        ({"approved_by": "", "amended_percent": 1.0}, "does not have"),
        ({"better_percent": 80.0}, "less than 50"),
        ({"without": ("anything",)}, "baseline"),
    ],
)
def test_a_faulty_declaration_says_what_is_wrong(change: dict[str, object], why: str) -> None:
    tree = {**declared().model_dump(), "candidates": [{**PLAIN.model_dump(), **change}]}
    with pytest.raises(ValidationError, match=why):
        Scenario.model_validate(tree)


def test_two_candidates_of_one_name_are_a_fault() -> None:
    with pytest.raises(ValidationError, match="share a name"):
        _with(PLAIN, PLAIN)
