"""Mitigate: failovers, what they take, what they lose, and the way back."""

from __future__ import annotations

from archlab.spec.drill_kinds import Replication, Verdict
from archlab.spec.grading import Evidence, Truth
from archlab.spec.region_facts import DrillSeen, RegionFault
from archlab.spec.regions import Part, Promotion, Takeover
from archlab.spec.scenario import Variant
from archlab_scenarios.disaster_recovery import books

WATCH_S = 20.0
"""From detection on: by then the watch has failed over, if it will."""
DRILL_LATENCY_MS = 100.0
MOMENTS_S = 1.0
"""What was acknowledged within it was lost as it was on its way."""
BACKUP_DRILL = "backup-that-does-not-restore"


def by_itself(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: what came of automatic promotion when the first region died."""
    fault = _killed_while_automatic(evidence)
    if fault is None:
        return Truth(
            answer=None,
            blocked="Commit your forecast; then set the critical tier's promotion to automatic, kill east, and wait.",
        )
    done = books.failover_after(evidence, fault)
    tier = fault.posture.of(Part.REGISTRY)
    waited = (evidence.taken - fault.at).total_seconds()
    if done is None and waited < tier.detection_ms / 1000 + WATCH_S:
        return Truth(answer=None, blocked=f"Wait {WATCH_S:.0f} s longer than it takes to notice, then grade again.")
    if done is not None and not done.by_itself:
        return Truth(answer=None, blocked="You ordered that failover. Start again: archlab reset")
    answer = "taken-over" if done else "nothing"
    facts: dict[str, str | int | float] = {"replication": tier.replication.value, "became": _BECAME[answer]}
    return Truth(answer=[answer], facts=facts)


_BECAME = {
    "taken-over": "the watch failed over by itself",
    "nothing": "the watch noticed, and gave nothing up that was acknowledged without somebody's word",
}


def _killed_while_automatic(evidence: Evidence) -> RegionFault | None:
    """With the replication that the lab has now."""
    fault = books.lost_first(evidence)
    if fault is None:
        return None
    then = fault.posture.of(Part.REGISTRY)
    same = then.replication is books.registry(evidence).replication
    return fault if same and then.promotion is Promotion.AUTOMATIC else None


def rto_from_fault(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: noticing and deciding as modelled, the runbook as measured."""
    done = newest_failover(evidence)
    if done is None:
        return Truth(answer=None, blocked="Your lab has not failed over by your order yet: kill east first.")
    detection, decision, runbook = parts(evidence, done)
    facts: dict[str, str | int | float] = {
        "detection": detection,
        "decision": decision,
        "runbook": runbook,
        "rto": detection + decision + runbook,
    }
    return Truth(answer=detection + decision + runbook, facts=facts)


def newest_failover(evidence: Evidence) -> Takeover | None:
    """The newest that somebody ordered."""
    found = [t for t in books.seen(evidence).runbooks if t.runbook == "failover to" and not t.by_itself]
    return found[-1] if found else None


def parts(evidence: Evidence, done: Takeover) -> tuple[float, float, float]:
    """Seconds to notice, to decide, and of the runbook."""
    noticed = books.registry(evidence).detection_ms / 1000
    return noticed, float(books.pair(evidence).decision_s), sum(done.seconds.values())


def writes_again(evidence: Evidence, _variant: Variant) -> Truth:
    """State: with the line cut and writes that waited for both regions, the first region waits for nobody."""
    facts, held = books.seen(evidence), books.pair(evidence)
    cuts = [f for f in facts.faults if f.what == "cut" and _waits(f)]
    left_out = [t for t in facts.runbooks if t.runbook == "isolate" and cuts and t.began >= cuts[-1].at]
    over = [t for t in facts.runbooks if t.runbook == "failover to" and cuts and t.began >= cuts[-1].at]
    still_cut = any(one.line == "cut" for one in facts.regions)
    reached = bool(left_out) and not over and still_cut and facts.state.primary == held.names[0]
    reached = reached and not facts.state.synchronous
    seen = "no cut line in the critical tier's sync yet" if not cuts else "the line was cut"
    waits = "writes wait for both regions" if facts.state.synchronous else "writes wait for one region"
    out = f"{', '.join(facts.state.lost)} is left out" if facts.state.lost else "no region is left out"
    return Truth(
        answer=reached,
        facts={"primary": facts.state.primary, "runbook": sum(left_out[-1].seconds.values()) if left_out else 0.0},
        saw=f"{seen}, {'and still is' if still_cut else 'and is not now'}; {facts.state.primary} is primary, "
        f"{waits}, {out}.",
        looked_for="the line cut while writes waited for both regions, and still cut; the first region primary all the "
        "time, taking writes that wait for nobody.",
    )


def _waits(fault: RegionFault) -> bool:
    return fault.posture.of(Part.REGISTRY).replication is Replication.SYNCHRONOUS


def back_on_two_legs(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the first region was lost, nothing acknowledged was, and both are what they were before."""
    fault = books.lost_first(evidence)
    done = books.failover_after(evidence, fault) if fault else None
    back = _failback_after(evidence, done) if done else None
    whole = _whole(evidence)
    lossless = bool(fault and done and _waits(fault) and not done.accepted_loss)
    over = "no failover since" if done is None else "failed over"
    over += ", with losses accepted" if done and done.accepted_loss else ""
    return Truth(
        answer=bool(back and whole and lossless),
        facts={
            "failover": sum(done.seconds.values()) if done else 0.0,
            "failback": sum(back.seconds.values()) if back else 0.0,
        },
        saw=f"the first region was {'killed' if fault else 'never killed'}; {over}; "
        f"{'failed back' if back else 'no failback since'}; {books.seen(evidence).state.primary} is primary, "
        f"{'and every write is in both regions' if whole else 'with nobody that every write waits for'}.",
        looked_for="the first region killed while no write counted before both regions had it; a failover that could "
        "lose nothing; the first region primary again, with the second one having every write.",
    )


def _whole(evidence: Evidence) -> bool:
    """Whether the first region is primary, and every write is in the second one too."""
    facts, names = books.seen(evidence), books.pair(evidence).names
    follows = any(one.region == names[1] and one.synchronous for one in facts.regions)
    return facts.state.primary == names[0] and not facts.state.lost and follows


def _failback_after(evidence: Evidence, done: Takeover) -> Takeover | None:
    return next((t for t in books.seen(evidence).runbooks if t.runbook == "failback to" and t.began > done.began), None)


def newest_drill(evidence: Evidence) -> DrillSeen | None:
    """The newest report of the variant's drill in the variant's posture that says something."""
    wanted = books.knob(evidence, "drill"), books.knob(evidence, "drill-replication")
    for one in reversed(books.seen(evidence).drills):
        same = (one.drill, one.posture.replication.value) == wanted and one.posture.latency_ms == DRILL_LATENCY_MS
        if same and one.posture.accept_data_loss and one.verdict is not Verdict.VOID and one.measured:
            return one
    return None


def what_is_lost(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: how much of what was acknowledged the drill lost."""
    found = newest_drill(evidence)
    measured = found.measured if found else None
    if found is None or measured is None or measured.lost is None or measured.rpo_s is None:
        return Truth(answer=None, blocked="No report of that drill in that posture yet: run it after your forecast.")
    answer = "nothing" if not measured.lost else "moments" if measured.rpo_s < MOMENTS_S else "longer"
    facts: dict[str, str | int | float] = {
        "lost": len(measured.lost),
        "acknowledged": measured.acknowledged,
        "rpo": measured.rpo_s,
        "rto": "never" if measured.rto_s is None else f"{measured.rto_s:.2f} s",
        "began": f"{found.began:%H:%M:%S}",
    }
    return Truth(answer=[answer], facts=facts)


def never_restored(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: what came of a restore whose newest backup is damaged."""
    verified = books.knob(evidence, "backup-check").startswith("with ")
    found = [
        one
        for one in books.seen(evidence).drills
        if one.drill == BACKUP_DRILL and one.posture.verify_backups is verified and one.verdict is not Verdict.VOID
    ]
    if not found:
        return Truth(answer=None, blocked="No report of that drill in that posture yet: run it after your forecast.")
    green = found[-1].verdict is Verdict.GREEN
    reasons = "; ".join(found[-1].reasons) or "none"
    return Truth(
        answer=["older" if green else "lost"],
        facts={"verdict": found[-1].verdict.value, "reasons": reasons, "began": f"{found[-1].began:%H:%M:%S}"},
    )
