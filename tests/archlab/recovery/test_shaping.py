from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlab.recovery.shaping import Pacer, Shape

SIZES = st.lists(st.integers(1, 1 << 20), min_size=1, max_size=30)
PAUSES = st.lists(st.floats(0, 2), min_size=30, max_size=30)


@given(SIZES, PAUSES, st.integers(1_000, 10_000_000), st.floats(0, 500))
def test_bytes_arrive_in_order_no_faster_than_the_link(
    sizes: list[int], pauses: list[float], rate: int, latency_ms: float
) -> None:
    pacer, shape, now = Pacer(), Shape(bytes_per_s=rate, latency_ms=latency_ms), 0.0
    arrived, sent = [], []
    for size, pause in zip(sizes, pauses, strict=False):
        now += pause
        sent.append(now)
        arrived.append(pacer.arrival(now, size, shape))
    assert arrived == sorted(arrived)
    for first in range(len(sizes)):
        least = sum(sizes[first:]) / rate + latency_ms / 1000
        assert arrived[-1] - sent[first] >= least - 1e-6
    # a link that was never busy delays by no more than its latency and the bytes themselves
    assert arrived[0] - sent[0] <= sizes[0] / rate + latency_ms / 1000 + 1e-9


def test_without_a_shape_nothing_waits() -> None:
    assert Pacer().arrival(5.0, 1 << 20, Shape()) == 5.0
