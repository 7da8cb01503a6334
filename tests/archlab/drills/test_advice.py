"""What to improve follows from the figures: other figures, other advice."""

from __future__ import annotations

from archlab.drills.advice import Advice, advice
from archlab.spec.drill import DrillReport, Event, Objectives, Posture, Recovery, Replication, Verdict
from drill_reports import FAULT, measured, report

ASYNC = Posture(replication=Replication.ASYNCHRONOUS, accept_data_loss=True)


def said(found: DrillReport, lost_after: int | None = None) -> str:
    return "\n".join(f"{a.found} {a.change}" for a in advice(found, lost_after))


def test_a_long_detection_names_the_options_that_shorten_it() -> None:
    assert "Detection took 0.60 of 1.00 s (60 %)" in said(report(measured()))
    assert "--check-every 100 --failures 3" in said(report(measured()))
    quick = report(measured(detection_s=0.1, rto_from_decision_s=0.2))
    assert "Detection" not in said(quick)


def test_checks_that_wait_are_told_from_too_few_checks() -> None:
    hung = said(report(measured(detection_s=2.5, rto_s=3.0)))
    assert "checks that wait for an answer" in hung
    assert "--check-every" not in hung


def test_a_long_decision_and_a_long_step_are_named() -> None:
    slow = report(measured(detection_s=0.1, decision_s=8.0, rto_s=9.0, rto_from_decision_s=0.9))
    assert "The decision took 8.00 of 9.00 s" in said(slow)
    work = measured(detection_s=0.1, decision_s=0.0, rto_s=5.0, rto_from_decision_s=4.9, read_rto_s=5.0)
    moments = {"detected": FAULT + 0.1, "decided": FAULT + 0.1, "promote": FAULT + 4.6, "rollbacks begin": FAULT + 9}
    moments |= {"rejoin": FAULT + 10, "pair": FAULT + 11}
    assert "The longest step was “promote”, 4.50 s" in said(report(work, moments=moments))
    moments["promote"] = FAULT + 0.3
    assert "callers waited after the last step" in said(report(work, moments=moments))


def test_lost_writes_are_explained_by_the_line_or_by_a_region_that_was_behind() -> None:
    near = measured(lost=(1, 2), rpo_s=0.03)
    assert "20 ms from the other region" in said(report(near, posture=ASYNC), 0)
    assert "waits 40 ms or more" in said(report(near, posture=ASYNC), 0)
    far = measured(lost=tuple(range(400)), rpo_s=3.0)
    assert "400 acknowledged writes are lost, the oldest 3.00 s before the fault" in said(report(far, posture=ASYNC), 0)
    assert "Watch how far it is behind" in said(report(far, posture=ASYNC), 0)
    after = said(report(measured(lost=(1, 2), rpo_s=0.0)), 2)
    assert "All 2 lost writes were acknowledged after the fault" in after
    assert "--verify-backups" in said(report(measured(lost=(1, 2), rpo_s=4.0)), 0)


def test_a_refusal_and_the_lack_of_recovery_are_named_first() -> None:
    refused = Event(name="refused", at=FAULT + 1, detail="west may lack acknowledged writes.")
    never = measured(rto_s=None, lost=None, rpo_s=None, rto_from_decision_s=None)
    found = report(never, verdict=Verdict.RED, events=(*report(never).events, refused))
    first = advice(found)[0]
    assert "west may lack acknowledged writes" in first.found
    assert "--accept-data-loss" in first.change
    nobody = report(never, verdict=Verdict.RED, posture=Posture(recovery=Recovery.NONE))
    assert "--recovery none" in advice(nobody)[0].found


def test_time_outs_and_a_long_way_back_are_named() -> None:
    waited = measured(errors={"timeout": 30, "http-503": 10})
    assert "30 of 40 failed requests ran into the callers’ time-out" in said(report(waited))
    assert "9 times the way there" in said(report(measured(), failback_s=9.0))
    cloned = Event(name="rejoin", at=FAULT + 4, detail="west: cloned")
    assert "west had to be copied anew" in said(report(measured(), events=(*report(None).events, cloned)))


def test_wrong_answers_that_nobody_noticed_name_the_check_that_would_have() -> None:
    blind = measured(detection_s=None, rto_s=None, errors={"wrong": 400}, rto_from_decision_s=None)
    assert "400 answers were wrong and came in time" in said(report(blind))
    assert "--check-content" in said(report(blind))
    assert "--check-content" not in said(report(measured(errors={"wrong": 20})))


def test_where_nothing_stands_out_the_objective_is_asked_about() -> None:
    fine = measured(detection_s=0.4, rto_from_decision_s=0.4)
    (only,) = advice(report(fine))
    assert only == Advice("RTO used 1.00 of 5 s, and nothing else stood out.", only.change)
    denied = said(report(measured(errors={"denied": 17})))
    assert "17 changes were denied because nobody could decide" in denied
    assert advice(report(fine, objectives=Objectives(rto_s=2))) == ()


def test_a_void_drill_only_says_why() -> None:
    (only,) = advice(report(None, verdict=Verdict.VOID, reasons=("without any fault, requests failed",)))
    assert "without any fault, requests failed" in only.found
