from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.drills import experiments
from archlab.drills.surprise import PAUSE_S, draw, with_pauses
from archlab.errors import UsageError

DRILLS = ("delete-by-mistake", "hang-region", "kill-region", "lose-primary", "partition-then-kill")
CODES = st.text(min_size=1).filter(str.strip)


def test_a_code_means_the_same_on_every_machine() -> None:
    found = draw("gate-7", DRILLS, 60)
    assert (found.drill, found.delay_s, found.pause_s) == ("lose-primary", 26.97, 2.37)
    assert draw(" Gate-7 ", DRILLS[::-1], 60).model_copy(update={"code": "gate-7"}) == found
    assert {draw(f"code {n}", DRILLS).drill for n in range(100)} == set(DRILLS)


@given(CODES, st.floats(0.5, 3_600))
def test_what_is_drawn_lies_within_its_bounds(code: str, within_s: float) -> None:
    found = draw(code, DRILLS, within_s)
    assert min(5.0, within_s) - 0.01 <= found.delay_s <= within_s + 0.01
    assert PAUSE_S[0] <= found.pause_s <= PAUSE_S[1]


@given(CODES)
def test_a_new_drill_changes_only_the_codes_that_fall_on_it(code: str) -> None:
    before, after = draw(code, DRILLS), draw(code, (*DRILLS, "meteorite"))
    assert after.drill in (before.drill, "meteorite")
    assert (after.delay_s, after.pause_s) == (before.delay_s, before.pause_s)


def test_an_empty_code_is_refused() -> None:
    with pytest.raises(UsageError):
        draw("  ", DRILLS)


def test_pauses_last_as_drawn_and_nothing_else_changes() -> None:
    content = experiments.load("partition-then-kill").content
    made = with_pauses(content, 2.5)
    assert made["method"][1]["provider"]["arguments"] == {"seconds": 2.5}
    assert content["method"][1]["provider"]["arguments"] == {"seconds": 3}
    assert made["method"][2] == content["method"][2]
