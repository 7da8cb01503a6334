from __future__ import annotations

import pytest

from archlab_serving.admission import Drain, Places, retry_after_s
from archlab_serving.costs import Cost

HEAVY = Cost(fixed_us=1000.0, row_us=10.0, batchable=True, other_extents_fixed=True)


def test_a_queue_may_be_as_long_as_there_are_free_places() -> None:
    places = Places(8)
    places.taken = 5
    assert places.let_wait(2)
    assert not places.let_wait(3)


def test_one_may_always_wait() -> None:
    places = Places(1)
    places.taken = 1
    assert places.full
    assert places.let_wait(0)


def test_a_batching_queue_pays_the_fixed_part_once_per_batch() -> None:
    assert Drain(HEAVY, batch_rows=100).seconds(250, 250) == pytest.approx(3 * 1e-3 + 250 * 1e-5)


def test_without_batching_every_request_pays_it() -> None:
    assert Drain(HEAVY, batch_rows=0).seconds(3, 250) == pytest.approx(3 * 1e-3 + 250 * 1e-5)


def test_a_machine_that_became_slower_makes_the_queue_longer() -> None:
    drain = Drain(HEAVY, batch_rows=100)
    for _ in range(50):
        drain.observe(100, 4e-3)
    assert drain.seconds(100, 100) == pytest.approx(4e-3, rel=0.01)
    assert drain.least_seconds(1) == pytest.approx(1.01e-3)


def test_one_stall_counts_for_little() -> None:
    drain = Drain(HEAVY, batch_rows=100)
    drain.observe(100, 60.0)
    assert drain.seconds(100, 100) < 3 * 2e-3


def test_what_could_not_be_measured_is_learned_from_its_runs() -> None:
    drain = Drain(Cost(), batch_rows=0)
    assert drain.seconds(1, 1) == 0
    drain.observe(2, 1.0)
    assert drain.seconds(3, 3) == pytest.approx(1.5)
    assert drain.least_seconds(1) == 0, "nobody is refused on an idle machine by a guess"


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.1, 2)])
def test_retry_after_is_whole_seconds(seconds: float, shown: int) -> None:
    assert retry_after_s(seconds) == shown
