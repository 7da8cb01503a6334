from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from archlab.drills.curve import MOST, curve
from archlab.drills.drawing import HIGH, lines, nice, plot, ticks
from archlab.drills.figures import figures
from archlab.drills.milestones import outage
from archlab.spec.drill import Attempt, Event, Kind, Posture, Recovery
from drill_reports import FAULT, attempts, measured, report

ATTEMPT = st.builds(
    lambda done, took, ok: Attempt(
        kind=Kind.WRITE, number=1, sent=done - took, done=done, outcome="ok" if ok else "timeout"
    ),
    st.floats(0, 100),
    st.floats(0, 2),
    st.booleans(),
)


def test_answers_are_counted_in_the_slice_in_which_they_came() -> None:
    found = curve(attempts(), FAULT, FAULT - 2, FAULT + 3)
    assert found.width_s == 0.05
    failed = [s.begins_s for s in found.slices if s.failed]
    assert -0.051 < min(failed) < 0.051
    assert 0.84 < max(failed) < 0.951
    assert sum(s.failed for s in found.slices) == 10
    good = next(s for s in found.slices if s.good)
    assert good.median_ms is not None
    assert abs(good.median_ms - 10) < 1e-6


@given(st.lists(ATTEMPT, max_size=40), st.floats(0, 50), st.floats(0.1, 5_000))
def test_every_answer_within_is_in_one_slice_and_no_other(found: list[Attempt], since: float, length: float) -> None:
    made = curve(found, 0.0, since, since + length)
    end = since + made.width_s * len(made.slices)
    assert 1 <= len(made.slices) <= MOST + 1
    assert sum(s.good + s.failed for s in made.slices) == sum(since <= a.done < end for a in found)
    for slice_ in made.slices:
        assert (slice_.median_ms is None) == (slice_.worst_ms is None) == (slice_.good == 0)


@given(st.lists(ATTEMPT, min_size=1, max_size=40))
def test_what_is_drawn_stays_inside(found: list[Attempt]) -> None:
    drawn = plot(curve(found, 0.0, 0.0, 101.0), [(1.0, "Fault")])
    for column in drawn.columns:
        assert column.good_height >= 0
        assert -1e-6 <= column.failed_y <= HIGH
        assert abs(column.failed_y + column.failed_height - column.good_y) < 1e-6, "failed ones stand on the good ones"


@given(st.floats(0.001, 1e6))
def test_axes_have_a_few_round_marks(most: float) -> None:
    marks = ticks(0.0, most, 0.0, 100.0)
    assert 4 <= len(marks) <= 11
    assert float(f"{nice(most):.0e}"[0]) in (1, 2, 5)
    assert all(-1e-6 <= m.at <= 100 + 1e-6 for m in marks)


def test_a_time_line_has_a_bar_per_moment_each_from_the_one_before() -> None:
    found = outage(report(measured()))
    assert [m.name for m in found] == ["Fault", "Detection", "Decision", "Promotion", "First good answer"]
    assert [round(m.at_s, 2) for m in found] == [0.0, 0.6, 0.6, 0.9, 1.0]
    assert {m.clock for m in found} == {"the drill’s", "the platform’s", "the probe’s"}
    bars = lines(found).bars
    assert abs(bars[1].x + bars[1].width - bars[3].x) < 1, "promotion begins where the decision was"


def test_who_decided_by_hand_is_not_called_the_platform() -> None:
    by_hand = Posture(recovery=Recovery.MANUAL)
    moments = {"declared": FAULT + 0.5, "ordered": FAULT + 0.6, "decided": FAULT + 0.6}
    blind = report(
        measured(detection_s=None, learner_detection_s=0.5, learner_decision_s=0.1, decision_s=0.1),
        posture=by_hand,
        events=(report(None).events[0], *(Event(name=name, at=at) for name, at in moments.items())),
    )
    clocks = {f.name: f.clock for f in figures(blind)}
    assert clocks["decision"] == "yours, from your detection", "the platform detected nothing, and decided nothing"
    assert clocks["RTO from the decision"].endswith("from your decision")
    assert {m.name: m.clock for m in outage(blind)}["Decision"] == "yours"

    seen = measured(detection_s=0.2, learner_detection_s=0.5, learner_decision_s=0.1)
    assert {f.name: f.clock for f in figures(report(seen, posture=by_hand))}["decision"] == (
        "yours, from the platform’s detection"
    )
    by_itself = {f.name: f.clock for f in figures(report(measured(learner_detection_s=0.1)))}
    assert by_itself["decision"] == "the platform’s, from your detection"
    assert by_itself["RTO from the decision"].endswith("from the decision")


def test_what_never_came_is_on_no_time_line() -> None:
    assert outage(report(None)) == ()
    names = [m.name for m in outage(report(measured(rto_s=None), events=report(None).events[:2]))]
    assert names == ["Fault", "Detection"]
