"""Weighted measures against the plain ones, and intervals against what is known about them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.quality import MEASURES, Floats
from archlab.resampling import WEIGHTED, Range, Sample, compare

METRICS = sorted(MEASURES)


def sample(rng: np.random.Generator, size: int, skill: float, prefix: str = "f") -> Sample:
    """Answers about `size` flights, of which a third are late; skill is how far apart the two kinds are."""
    actuals = (rng.random(size) < 1 / 3).astype(np.float64)
    return Sample(rng.normal(skill * actuals), actuals, [f"{prefix}{n}" for n in range(size)])


def width(found: Range | None) -> float:
    assert found is not None
    return found.high - found.low


@pytest.mark.parametrize("metric", METRICS)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1), st.integers(0, 3)), min_size=2, max_size=20).filter(
        lambda rows: any(count for _, _, count in rows)
    )
)
def test_a_weight_counts_as_that_many_rows(metric: str, rows: list[tuple[int, int, int]]) -> None:
    values, actuals, weights = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    counts = weights.astype(int)
    plain = MEASURES[metric](np.repeat(values, counts), np.repeat(actuals, counts))
    (weighted,) = WEIGHTED[metric](Sample(values, actuals, [""] * len(rows)))(weights[None, :])
    assert weighted == pytest.approx(plain) if plain is not None else np.isnan(weighted)


def test_the_interval_of_an_auc_is_the_one_that_is_known() -> None:
    """Hanley and McNeil (1982) give the standard error of an AUC; a percentile interval is about as wide."""
    found = compare("auc", sample(np.random.default_rng(1), 900, 1.0), Sample(np.empty(0), np.empty(0), []))
    assert found.first is not None
    area = found.first.value
    yes, no = 300, 600
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    error = ((area * (1 - area) + (yes - 1) * (q1 - area**2) + (no - 1) * (q2 - area**2)) / (yes * no)) ** 0.5
    assert width(found.first) == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert found.second is None
    assert found.difference is None


def test_many_requests_about_few_flights_are_few_flights() -> None:
    once = sample(np.random.default_rng(2), 200, 1.0)
    often = Sample(np.repeat(once.predictions, 40), np.repeat(once.actuals, 40), list(np.repeat(once.subjects, 40)))
    alone, repeated = compare("auc", once, once).first, compare("auc", often, often).first
    assert width(repeated) == pytest.approx(width(alone), rel=1e-9)
    independent = Sample(often.predictions, often.actuals, [str(n) for n in range(len(often.subjects))])
    assert width(compare("auc", independent, independent).first) < 0.25 * width(alone)


def test_a_difference_on_the_same_flights_is_paired() -> None:
    rng = np.random.default_rng(3)
    champion = sample(rng, 400, 1.0)
    nearly = Sample(champion.predictions + rng.normal(0, 0.05, 400), champion.actuals, champion.subjects)
    others = Sample(nearly.predictions, nearly.actuals, [f"other-{s}" for s in nearly.subjects])
    paired, apart = compare("auc", champion, nearly), compare("auc", champion, others)
    assert paired.difference is not None
    assert width(paired.difference) < 0.3 * width(apart.difference)
    assert paired.difference.value == pytest.approx(apart.difference.value if apart.difference else None)


def test_a_true_difference_is_inside_about_nineteen_times_in_twenty() -> None:
    missed = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        errors = [Sample(rng.normal(0, sd, 120), np.zeros(120), [f"{sd}-{n}" for n in range(120)]) for sd in (1, 1.5)]
        found = compare("mae", errors[0], errors[1], resamples=300).difference
        assert found is not None
        true = 0.5 * (2 / np.pi) ** 0.5
        missed += not found.low <= true <= found.high
    assert missed <= 13, "5 are expected; more than 13 come about once in a thousand"


def test_too_little_gives_no_interval() -> None:
    def made(actuals: Floats) -> Sample:
        return Sample(np.arange(len(actuals), dtype=np.float64), actuals, [str(n) for n in range(len(actuals))])

    nothing, one_class = made(np.empty(0)), made(np.ones(50))
    assert compare("auc", nothing, nothing).difference is None
    assert compare("auc", one_class, one_class).first is None
    assert compare("auc", made(np.array([0.0, 1.0])), made(np.array([0.0, 1.0]))).first is None
    assert compare("mae", one_class, one_class).first is not None


def test_looking_twice_shows_the_same() -> None:
    rng = np.random.default_rng(4)
    first, second = sample(rng, 300, 1.0), sample(rng, 300, 1.2)
    assert compare("auc", first, second) == compare("auc", first, second)


def test_with_enough_flights_a_difference_is_told_apart() -> None:
    rng = np.random.default_rng(5)
    worse, better = sample(rng, 20_000, 1.0), sample(rng, 20_000, 1.2)
    found = compare("auc", worse, better, resamples=200).difference
    assert found is not None
    assert 0 < found.low < found.value < found.high < 0.1
