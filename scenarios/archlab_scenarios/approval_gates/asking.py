"""Truths about what the gate answered when asked: the forecast, the freeze, the lab in which the honest are live."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from archlab.plan.candidates import NAME
from archlab.spec.grading import Evidence, Truth, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Variant
from archlab_scenarios.approval_gates import standing as at

FREEZE = ("12-23", "12-26")
OWN_RULES = (
    "Rules or exceptions of yours had a say, and the question is about the rules as shipped. Take your rules out of "
    "the lab's folder, then: archlab policy apply, archlab reset"
)


def first_asked(evidence: Evidence) -> list[DecisionRecord] | None:
    """The first decision on each of the twelve, in the order of the list; None while one is missing."""
    found = [at.asked(evidence, facts) for facts in at.waiting(evidence)]
    return [d[0] for d in found] if all(found) else None


def gets_through(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: how many of the twelve the gate lets through, asked in the order of the list."""
    decisions = first_asked(evidence)
    if decisions is None:
        missing = [f.tags[NAME] for f in at.waiting(evidence) if not at.asked(evidence, f)]
        return Truth(answer=None, blocked=f"Not asked yet as they were at the start: {', '.join(missing)}.")
    order = [d.sequence for d in decisions]
    if order != sorted(order):
        return Truth(answer=None, blocked="They were asked in another order. Start again: archlab reset")
    if any(d.business_time.date() != evidence.scenario.starts.date() for d in decisions):
        return Truth(answer=None, blocked="They were asked on another day. Start again: archlab reset")
    if any(at.own_rules(d) or d.decision.exceptions for d in decisions):
        return Truth(answer=None, blocked=OWN_RULES)
    passed = [d for d in decisions if d.decision.allow]
    rows = zip(at.waiting(evidence), decisions, strict=True)
    lines = [f"| {f.tags[NAME]} | {f.model} | {_said(d)} |" for f, d in rows]
    return Truth(answer=len(passed), facts={"table": "\n".join(lines), "passed": len(passed)})


def _said(decision: DecisionRecord) -> str:
    if decision.decision.allow:
        return "let through"
    return "refused: " + ", ".join(sorted({r.code for r in decision.decision.reasons}))


def passes_in_the_freeze(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: which moves the gate let pass for a model during the freeze."""
    facts = at.named(evidence, str(evidence.scenario.knobs["emergency"]))
    back = [d for v in _others(evidence, facts) for d in _frozen(at.asked(evidence, v)) if _was_champion(d)]
    needed = {
        "candidate": _frozen(at.asked(evidence, facts)),
        "challenger": _frozen(at.asked(evidence, facts, at.CHALLENGER)),
    }
    if _had_former(evidence, facts, back):
        needed["former"] = back
    if missing := [key for key, found in needed.items() if not found]:
        return Truth(answer=None, blocked=f"Not tried on a day of the freeze yet: {', '.join(missing)}.")
    if any(at.own_rules(d) or d.decision.exceptions for found in needed.values() for d in found):
        return Truth(answer=None, blocked=OWN_RULES)
    passed = [key for key, found in needed.items() if any(d.decision.allow for d in found)]
    lines = [f"| {key} | {_said(found[-1])} |" for key, found in needed.items()]
    return Truth(
        answer=passed or ["none"],
        facts={"table": "\n".join(lines), "model": facts.model, "former": "one" if "former" in needed else "none"},
    )


def _others(evidence: Evidence, facts: VersionFacts) -> list[VersionFacts]:
    return [v for v in evidence.versions if v.model == facts.model and v.version != facts.version]


def _was_champion(decision: DecisionRecord) -> bool:
    return decision.query.evidence.get("version", {}).get("held_champion") is True


def _had_former(evidence: Evidence, facts: VersionFacts, back: Sequence[DecisionRecord]) -> bool:
    """Whether there was a champion to go back to when the freeze began."""
    return bool(back or at.former_champions(evidence, facts.model))


def _frozen(decisions: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    return [d for d in decisions if is_frozen(d.business_time)]


def is_frozen(when: datetime) -> bool:
    """Whether a moment is in the days in which no new champion goes live."""
    return FREEZE[0] <= f"{when:%m-%d}" <= FREEZE[1]


def two_people(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: promotions of the start that had no second person behind them, whatever the log says."""
    about = {name: at.named(evidence, name) for name in ("flight-first", "cancel-first")}
    firsts = [v for v in evidence.versions if v.version == "1"]
    lacking = [key for key, facts in about.items() if "requester" in at.objections(evidence, facts)]
    lacking += ["firsts"] if any("requester" in at.objections(evidence, v) for v in firsts) else []
    let_through = [d for d in evidence.decisions if d.query.action == at.CHAMPION and d.decision.allow]
    lines = [
        f"| {key} | {at.requester(evidence, f) or 'nobody knows'} | {f.approved_by} |"
        for key, f in {**about, "firsts": firsts[0]}.items()
    ]
    return Truth(answer=lacking or ["none"], facts={"table": "\n".join(lines), "promotions": len(let_through)})


def only_the_honest(evidence: Evidence, _variant: Variant) -> Truth:
    """State: rules of the learner's refuse who breaks the house's rules, nobody else; the best of the rest are live."""
    latest = _under_the_bundle_in_force(evidence)
    waiting = at.waiting(evidence)
    flawed = [f for f in waiting if at.objections(evidence, f)]
    honest = [f for f in waiting if not at.objections(evidence, f)]
    unasked = [f for f in waiting if f.tags[NAME] not in latest]
    seen = [f for f in waiting if f.tags[NAME] in latest]
    missed = [f for f in seen if f in flawed and not _refused_by_own(latest[f.tags[NAME]])]
    wronged = [f for f in seen if f in honest and _wronged(latest[f.tags[NAME]])]
    wrong_live = [m for m in sorted({f.model for f in waiting}) if not _right_one_is_live(evidence, m, latest)]
    reached = not (unasked or missed or wronged or wrong_live)
    return Truth(
        answer=reached,
        facts={"table": at.table(evidence, waiting), "honest": len(honest), "flawed": len(flawed)},
        saw=f"under the rules in force {len(waiting) - len(unasked)} of {len(waiting)} candidates were asked about; "
        f"{len(missed)} of these break a rule of the house and were not refused by a rule of yours; {len(wronged)} "
        f"keep them and were; {len(wrong_live)} models serve a version that they should not.",
        looked_for="all twelve asked about under your rules; each that breaks a rule of the house refused by a rule "
        "of yours, no other; each model served by the best candidate that was let through, or by its earlier champion.",
    )


def refused_honest(evidence: Evidence) -> bool:
    """Whether a rule of the learner's refuses a candidate that keeps the house's rules."""
    latest = _under_the_bundle_in_force(evidence)
    honest = [f for f in at.waiting(evidence) if not at.objections(evidence, f) and f.tags[NAME] in latest]
    return any(_wronged(latest[f.tags[NAME]]) for f in honest)


def flawed_live(evidence: Evidence) -> bool:
    """Whether a candidate that breaks the house's rules is champion."""
    return any("champion" in f.aliases and at.objections(evidence, f) for f in at.waiting(evidence))


def _under_the_bundle_in_force(evidence: Evidence) -> dict[str, DecisionRecord]:
    """By candidate: its last decision under the bundle of the newest one."""
    promotions = [d for d in evidence.decisions if d.query.action == at.CHAMPION]
    bundle = promotions[-1].decision.bundle_digest if promotions else ""
    found: dict[str, DecisionRecord] = {}
    for facts in at.waiting(evidence):
        for decision in at.asked(evidence, facts):
            if decision.decision.bundle_digest == bundle:
                found[facts.tags[NAME]] = decision
    return found


def _wronged(decision: DecisionRecord) -> bool:
    """Whether a rule of the learner's objects where those as shipped have nothing but a better champion to say."""
    shipped = {r.code for r in decision.decision.reasons if r.rule in at.SHIPPED}
    return bool(at.own_rules(decision)) and shipped <= {"below_champion"}


def _refused_by_own(decision: DecisionRecord) -> bool:
    return not decision.decision.allow and bool(at.own_rules(decision))


def _right_one_is_live(evidence: Evidence, model: str, latest: dict[str, DecisionRecord]) -> bool:
    """The registry's champion is the best that was let through, or no candidate; and it is what is handed out."""
    live = at.champion(evidence, model)
    served = next((r.version for r in evidence.releases if r.model == model and r.role == "champion"), "")
    if served != live.version:
        return False
    passed = [
        f
        for f in at.waiting(evidence)
        if f.model == model and f.tags[NAME] in latest and latest[f.tags[NAME]].decision.allow
    ]
    if not passed:
        return live.version not in {f.version for f in at.waiting(evidence) if f.model == model}
    return not any(at.better(f, at.value(live)) for f in passed) and live in passed
