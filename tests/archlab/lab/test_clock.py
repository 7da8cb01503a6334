"""Spans of time as typed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from archlab.errors import UserError
from archlab.lab.clock import parse_span


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("30m", timedelta(minutes=30)),
        ("6h", timedelta(hours=6)),
        ("1d", timedelta(days=1)),
        (" 2w ", timedelta(weeks=2)),
    ],
)
def test_spans(text: str, span: timedelta) -> None:
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "1", "d", "0d", "-1d", "1.5h", "1d 2h", "tomorrow"])
def test_anything_else_names_what_is_accepted(text: str) -> None:
    with pytest.raises(UserError, match="30m, 6h, 1d"):
        parse_span(text)
