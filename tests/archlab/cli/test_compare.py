"""`archlab compare` as it is typed and read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from archlab.cli.compare import parse_since
from archlab.errors import UserError

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30m", datetime(2026, 11, 24, 11, 30, tzinfo=UTC)),
        ("1d", datetime(2026, 11, 23, 12, tzinfo=UTC)),
        ("2026-11-24T09:00:00Z", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("2026-11-24T09:00:00+02:00", datetime(2026, 11, 24, 7, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_since_is_a_span_or_a_moment(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


def test_what_is_neither_is_named() -> None:
    with pytest.raises(UserError, match="'yesterday' is neither a span nor a time"):
        parse_since("yesterday", NOW)
