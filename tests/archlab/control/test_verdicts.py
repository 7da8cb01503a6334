"""What may be concluded, and in which words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from archlab.control.verdicts import FEWEST, conclusions, judge
from archlab.resampling import Range
from archlab.spec.comparison import Comparison, Interval, Judgement, Mirrored, VersionTraffic


def interval(found: Range) -> Interval:
    return Interval(value=found.value, low=found.low, high=found.high)


@pytest.mark.parametrize(
    ("difference", "higher_is_better", "verdict"),
    [
        (Range(0.013, -0.02, 0.046), True, "not told apart"),
        (Range(0.05, 0.01, 0.09), True, "better"),
        (Range(-0.05, -0.09, -0.01), True, "worse"),
        (Range(0.05, 0.01, 0.09), False, "worse"),
        (Range(-0.05, -0.09, -0.01), False, "better"),
        (None, True, "too few labels"),
    ],
)
def test_an_interval_on_one_side_of_zero_is_a_verdict(
    difference: Range | None, higher_is_better: bool, verdict: str
) -> None:
    judged = judge(290, difference, higher_is_better=higher_is_better)
    assert judged.verdict == verdict
    assert judged.difference == (interval(difference) if difference else None)


def test_few_labels_are_no_verdict_however_far_apart() -> None:
    far = Range(0.5, 0.4, 0.6)
    assert judge(FEWEST - 1, far, higher_is_better=True).verdict == "too few labels"
    assert judge(FEWEST, far, higher_is_better=True).verdict == "better"


def traffic(version: str, kind: str, requests: int, subjects: int, labelled: int, errors: int = 0) -> VersionTraffic:
    return VersionTraffic.model_validate(
        {
            "version": version,
            "role": "challenger" if version == "2" else "champion",
            "traffic": kind,
            "requests": requests,
            "errors": errors,
            "subjects": subjects,
            "labelled_subjects": labelled,
            "p50_ms": 1.0,
            "p99_ms": 2.0,
            "quality": None,
        }
    )


def comparison(**changed: Any) -> Comparison:
    plain: dict[str, Any] = {
        "model": "missed-connection",
        "asked_about": "flights",
        "metric": "auc",
        "higher_is_better": True,
        "champion": "1",
        "challenger": "2",
        "now": datetime(2013, 12, 3, tzinfo=UTC),
        "since": None,
        "versions": (),
        "canary": None,
        "shadow": None,
        "mirrored": None,
        "conclusions": (),
        "method": "",
    }
    return Comparison.model_validate(plain | changed)


def judged(labelled: int, difference: Range | None) -> Judgement:
    return judge(labelled, difference, higher_is_better=True)


def test_a_canary_is_judged_by_flights_and_not_by_requests() -> None:
    found = comparison(
        versions=(traffic("1", "live", 9000, 310, 300), traffic("2", "live", 12040, 312, 290, errors=3)),
        canary=judged(290, Range(0.013, -0.02, 0.05)),
    )
    assert conclusions(found) == (
        "Canary: 12,040 requests about 312 flights went to version 2, 290 of them labelled; 3 of 12,040 failed."
        " Difference in AUC +0.013 [-0.020, +0.050] on 290 labelled flights: not told apart yet;"
        " if the difference is real, about 7.2 times as many labelled flights would show it.",
    )


def test_a_difference_that_could_be_none_at_all_promises_nothing() -> None:
    for value in (0.0, 0.0001):
        found = comparison(versions=(traffic("2", "live", 100, 100, 90),), canary=judged(90, Range(value, -0.05, 0.05)))
        assert conclusions(found)[0].endswith("not told apart yet.")


def test_a_shadow_says_how_far_answers_are_apart() -> None:
    mirrored = Mirrored(
        pairs=1000,
        subjects=400,
        abs_difference_mean=0.04671,
        abs_difference_max=0.2391,
        correlation=0.4,
        differing=0.0032,
        differing_rule="decisions at the threshold of 0.25 would differ",
        latency_difference_ms=0.1,
    )
    found = comparison(
        versions=(traffic("2", "shadow", 1010, 400, 380, errors=10),),
        mirrored=mirrored,
        shadow=judged(380, Range(-0.16, -0.22, -0.1)),
    )
    assert conclusions(found) == (
        "Shadow: 1,000 requests about 400 flights were answered by version 2 too; 10 of 1,010 failed."
        " Predictions differ by 0.0467 on average, 0.239 at most."
        " 0.3% of decisions at the threshold of 0.25 would differ."
        " Difference in AUC -0.160 [-0.220, -0.100] on 380 labelled flights: version 2 is worse than version 1.",
    )


@pytest.mark.parametrize(
    ("labelled", "said"),
    [
        (12, "Too early to compare AUC: 12 labelled flights on the smaller side, 30 are the least."),
        (45, "Too early to compare AUC: one of the outcomes is too rare among 45 labelled flights."),
    ],
)
def test_too_few_labels_are_said_to_be(labelled: int, said: str) -> None:
    found = comparison(versions=(traffic("2", "live", 1, 1, labelled),), canary=judged(labelled, None))
    assert conclusions(found)[0].endswith(said)
    assert conclusions(found)[0].startswith("Canary: 1 request about")


def test_without_anything_to_compare_the_next_step_is_named() -> None:
    (alone,) = conclusions(comparison(challenger=""))
    assert "archlab promote missed-connection VERSION --alias challenger" in alone
    (idle,) = conclusions(comparison())
    assert "archlab set missed-connection shadow on" in idle
    assert "archlab set missed-connection canary 10" in idle
