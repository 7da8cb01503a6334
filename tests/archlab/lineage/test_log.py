"""The chain of lineage events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlab.lineage import log
from archlab.spec.lineage import LineageRecord


def chained(count: int) -> list[LineageRecord]:
    made: list[LineageRecord] = []
    for number in range(count):
        made.append(log.append(made[-1] if made else None, {"number": number}))
    return made


def test_a_whole_chain_has_no_faults() -> None:
    assert log.verify([]) == []
    assert log.verify(chained(5)) == []


def test_each_fault_says_where_it_is() -> None:
    whole = chained(6)
    assert log.verify(whole[1:]) == ["event 1 is missing"]
    assert log.verify([*whole[:1], *whole[4:]]) == ["events 2 to 4 are missing"]
    edited = whole[2].model_copy(update={"event": '{"number":9}'})
    assert log.verify([*whole[:2], edited, *whole[3:]]) == ["event 3 was changed after it was recorded"]


@given(st.integers(2, 8), st.data())
def test_no_event_but_the_last_goes_unnoticed(count: int, data: st.DataObject) -> None:
    whole = chained(count)
    gone = data.draw(st.integers(0, count - 2))
    assert log.verify([*whole[:gone], *whole[gone + 1 :]])


@given(st.integers(2, 8), st.data())
def test_an_event_written_anew_breaks_the_one_after_it(count: int, data: st.DataObject) -> None:
    whole = chained(count)
    at = data.draw(st.integers(0, count - 2))
    forged = log.append(whole[at - 1] if at else None, {"number": -1})
    assert log.verify([*whole[:at], forged, *whole[at + 1 :]])


def test_a_job_taken_out_leaves_a_hole_unless_the_rest_is_written_anew() -> None:
    whole: list[LineageRecord] = []
    for job in ("ingest", "train", "train", "register"):
        event = {"job": {"name": job}, "run": {"runId": "AB"}}
        whole.append(log.append(whole[-1] if whole else None, event))
    dropped, renewed = (log.without(whole, "train", renewed=renewed) for renewed in (False, True))
    assert [log.job_of(r) for r in dropped] == [log.job_of(r) for r in renewed] == ["ingest", "register"]
    assert log.verify(dropped) == ["events 2 to 3 are missing"]
    assert log.verify(renewed) == []
    assert log.run_of(whole[0]) == "ab"
