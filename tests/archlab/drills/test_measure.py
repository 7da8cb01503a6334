from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlab.drills.measure import acknowledgements, before, measure, missed
from archlab.spec.drill import Attempt, Event, Kind, Objectives

FAULT = Event(name="a region is killed", at=100.0)


def write(number: int, done: float, outcome: str = "ok", took: float = 0.01, kind: Kind = Kind.WRITE) -> Attempt:
    return Attempt(kind=kind, number=number, sent=done - took, done=done, outcome=outcome)


def ticks(first: float, last: float, outcome: str = "ok", number: int = 0) -> list[Attempt]:
    """Ten attempts a second."""
    steps = round((last - first) * 10)
    return [write(number + i, first + i / 10, outcome) for i in range(steps)]


def test_the_clocks_of_an_outage() -> None:
    attempts = [*ticks(90, 100), *ticks(100, 103, "http-503", 200), *ticks(103, 110, number=300)]
    events = [Event(name="detected", at=101.0), Event(name="decided", at=101.5)]
    present = {a.number for a in attempts if a.ok}
    found = measure(attempts, [FAULT], events, present)
    assert (found.detection_s, found.decision_s) == (1.0, 0.5)
    assert found.rto_s is not None
    assert abs(found.rto_s - 3.0) < 1e-6
    assert found.rto_from_decision_s is not None
    assert abs(found.rto_from_decision_s - 1.5) < 1e-6
    assert (found.rpo_s, found.lost, found.errors) == (0.0, (), {"http-503": 30})
    assert abs(found.longest_gap_s - 3.1) < 1e-6


def test_single_good_answers_in_between_are_no_recovery() -> None:
    outage = [*ticks(100, 102, "timeout"), *ticks(102, 102.5), *ticks(102.5, 104, "timeout"), *ticks(104, 106)]
    found = measure(outage, [FAULT], [], set())
    assert found.rto_s is not None
    assert abs(found.rto_s - 4.0) < 1e-6


def test_what_was_on_its_way_when_writes_were_read_back_is_not_lost() -> None:
    in_time, under_way = write(1, 104.9), write(2, 105.2, took=0.4)
    found = measure(before([in_time, under_way], 105.0), [FAULT], [], {1})
    assert (found.acknowledged, found.lost) == (1, ())
    assert measure([in_time, under_way], [FAULT], [], {1}).lost == (2,), "what nobody leaves out counts"


def test_what_was_acknowledged_before_writes_were_read_back_and_is_missing_is_lost() -> None:
    found = measure(before([write(1, 104.9), write(2, 105.0)], 105.0), [FAULT], [], {1})
    assert found.lost == (2,)


def test_failures_are_judged_by_when_they_were_asked() -> None:
    hung, later = write(1, 106.0, "timeout", took=2.0), write(2, 105.5, "reset")
    assert before([hung, later], 105.0) == [hung], "what failed while it was put back is no part of the drill"


def test_a_service_that_never_comes_back_has_no_rto_and_unknown_writes_no_rpo() -> None:
    found = measure([*ticks(98, 100), *ticks(100, 110, "refused")], [FAULT], [], None)
    assert (found.rto_s, found.rpo_s, found.lost) == (None, None, None)
    wanted = Objectives(rto_s=60, rpo_s=60, lost_writes=1_000)
    assert [sentence.split(",")[0] for sentence in missed(found, wanted)] == [
        "RTO never",
        "RPO unknown",
        "an unknown number of acknowledged writes lost",
    ]


def test_clocks_start_at_the_fault_that_callers_felt() -> None:
    cut, kill = Event(name="cut", at=100.0), Event(name="kill", at=105.0)
    unnoticed = [*ticks(99, 105), *ticks(105, 106, "reset"), *ticks(106, 108)]
    blocked = [*ticks(99, 100), *[write(1, 102, "timeout", took=2.0)], *ticks(105, 106, "reset"), *ticks(106, 108)]
    assert measure(unnoticed, [cut, kill], [], set()).fault == "kill"
    assert measure(blocked, [cut, kill], [], set()).fault == "cut"


def test_nothing_that_failed_is_no_outage() -> None:
    found = measure(ticks(90, 110), [FAULT], [], {a.number for a in ticks(90, 110)})
    assert (found.rto_s, found.rpo_s, found.errors) == (0.0, 0.0, {})


def test_reads_have_a_clock_of_their_own() -> None:
    reads = [write(1, 100.1, "missing", kind=Kind.READ)]
    reads += [write(1, 100.5 + i / 10, kind=Kind.READ) for i in range(20)]
    found = measure([*ticks(90, 110), *reads], [FAULT], [], set())
    assert found.rto_s == 0.0
    assert found.read_rto_s is not None
    assert abs(found.read_rto_s - 0.5) < 1e-6
    assert found.errors == {"missing": 1}


def test_a_drill_about_a_model_is_clocked_by_its_answers() -> None:
    asked = [
        write(n, 95 + n / 10, "wrong" if 100 <= 95 + n / 10 < 102 else "ok", kind=Kind.PREDICT) for n in range(150)
    ]
    found = measure([*ticks(90, 110), *asked], [FAULT], [], {a.number for a in ticks(90, 110)}, about=Kind.PREDICT)
    assert found.rto_s is not None
    assert abs(found.rto_s - 2.0) < 1e-6
    assert (found.errors, found.rpo_s, found.read_rto_s) == ({"wrong": 20}, 0.0, 0.0)
    assert abs(found.longest_gap_s - 2.1) < 1e-6
    assert measure([*ticks(90, 110), *asked], [FAULT], [], set()).rto_s == 0.0, "no write failed"


OUTCOMES = st.sampled_from(["ok", "ok", "ok", "http-503", "timeout", "reset"])
ATTEMPTS = st.lists(
    st.builds(
        lambda number, sent, took, outcome: Attempt(
            kind=Kind.WRITE, number=number, sent=sent, done=sent + took, outcome=outcome
        ),
        st.integers(0, 40),
        st.floats(80, 120),
        st.floats(0.001, 3),
        OUTCOMES,
    ),
    min_size=1,
    max_size=60,
)


@given(ATTEMPTS, st.sets(st.integers(0, 40)), st.randoms(use_true_random=False), st.integers(1, 5))
def test_what_holds_for_any_attempts(attempts: list[Attempt], present: set[int], random: object, good: int) -> None:
    found = measure(attempts, [FAULT], [], present, good)
    shuffled = list(attempts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert measure(shuffled, [FAULT], [], present, good) == found, "the order of the ledger does not matter"

    told = {a.number for a in attempts if a.ok}
    assert found.lost == tuple(sorted(told - present)), "lost is what was acknowledged and is not there, nothing else"
    assert found.acknowledged == len(told)
    assert found.rpo_s is not None
    if not found.lost:
        assert found.rpo_s == 0
    else:
        oldest = min(acknowledgements(attempts)[number] for number in found.lost)
        assert found.rpo_s == max(0.0, FAULT.at - oldest)

    if found.rto_s:
        answers = sorted(a.done for a in attempts if a.ok)
        assert FAULT.at + found.rto_s in [a.done for a in attempts if a.ok]
        assert sum(done >= FAULT.at + found.rto_s for done in answers) >= good
        assert any(not a.ok and FAULT.at <= a.done <= FAULT.at + found.rto_s for a in attempts)
    assert sum(found.errors.values()) == sum(not a.ok and a.done >= FAULT.at for a in attempts)


@given(ATTEMPTS, st.sets(st.integers(0, 40)), st.integers(0, 40))
def test_losing_more_never_looks_better(attempts: list[Attempt], present: set[int], gone: int) -> None:
    before = measure(attempts, [FAULT], [], present)
    after = measure(attempts, [FAULT], [], present - {gone})
    assert before.rpo_s is not None
    assert after.rpo_s is not None
    assert before.lost is not None
    assert after.lost is not None
    assert after.rpo_s >= before.rpo_s
    assert set(after.lost) >= set(before.lost)
