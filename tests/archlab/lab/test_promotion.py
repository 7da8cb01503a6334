"""Who was champion before."""

from __future__ import annotations

import pytest

from archlab.lab.promotion import tenures


@pytest.mark.parametrize(
    ("promoted", "held"),
    [
        ("", []),
        ("1", ["1"]),
        ("12", ["1", "2"]),
        ("121", ["1"]),
        ("1232", ["1", "2"]),
        ("12313", ["1", "3"]),
        ("1123", ["1", "2", "3"]),
    ],
)
def test_a_return_undoes_what_came_after(promoted: str, held: list[str]) -> None:
    assert tenures(promoted) == held
