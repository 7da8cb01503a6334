"""The load client: what it takes for a whole answer."""

from __future__ import annotations

import pytest
from benchmarks.serving.client import Sample, parse_chunks, parse_head


def test_a_heads_names_are_in_lower_case() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Time: 12:30"
    assert parse_head(head) == (200, {b"content-length": b"3", b"x-time": b"12:30"})


def test_a_chunked_body_is_whole_with_its_last_chunk() -> None:
    whole = b"3\r\nabc\r\na;x=1\r\n0123456789\r\n0\r\n\r\n"
    assert parse_chunks(whole) == (len(whole), b"abc0123456789")
    for end in range(len(whole)):
        assert parse_chunks(whole[:end]) is None


@pytest.mark.parametrize(("latencies", "median"), [([5.0], 5.0), ([1.0, 2.0, 9.0], 2.0)])
def test_percentiles_of_few_latencies(latencies: list[float], median: float) -> None:
    sample = Sample(len(latencies), 0.5, latencies, 0.1)
    assert sample.percentile_us(50) == median
    assert sample.percentile_us(99) <= max(latencies)
    assert sample.rate == len(latencies) / 0.5
