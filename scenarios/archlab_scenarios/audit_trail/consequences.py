"""Truths about the file, the link and what follows: what shows it, what still works, who stops, what would help."""

from __future__ import annotations

from math import sqrt

from archlab.policy import forgery
from archlab.policy.audit import CHAMPION
from archlab.spec.grading import Evidence, Truth, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Variant
from archlab_scenarios.audit_trail import traces

HOURS_PER_YEAR = 8760


def what_shows_the_file(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which comparisons disagree with the file that lies in the store."""
    deed, file = traces.declared(evidence, traces.FILE), traces.done(evidence, traces.FILE)
    about = (file.model, file.version)
    decided = {
        r.query.resource.digest
        for r in traces.written(evidence)
        if r.decision.allow and (r.query.resource.name, r.query.resource.version) == about
    }
    tag = next(v for v in evidence.versions if (v.model, v.version) == about).tags["archlab.sha256"]
    shown = {
        "tag": tag != file.after_sha256,
        "signature": deed.how != "resign",
        "decision": bool(decided - {file.after_sha256}),
        "bill": file.before_sha256 != file.after_sha256,
    }
    facts = {"version": f"{file.model} {file.version}", "was": file.before_sha256[:12], "now": file.after_sha256[:12]}
    return Truth(answer=[key for key, shows in shown.items() if shows], facts=facts)


def which_moves_pass(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: what the gate lets pass for the model of the exchanged file."""
    model, newest = traces.done(evidence, traces.FILE).model, traces.of_candidate(evidence, "delay-3")
    later = [d for d in evidence.decisions if d.sequence > traces.report(evidence).records]
    asked = [d for d in later if d.query.action == CHAMPION and d.query.resource.name == model]
    forward = next((d for d in asked if d.query.resource.version == newest.version), None)
    if forward is None:
        return Truth(answer=None, blocked="Nobody has asked for delay-3 yet.")
    back = next(
        (d for d in asked if d.sequence > forward.sequence and d.query.resource.version != newest.version), None
    )
    if back is None:
        return Truth(answer=None, blocked="Nobody has tried the way back after that yet.")
    tried = {"forward": forward, "back": back}
    if not all(_with_this_file(evidence, decision) for decision in tried.values()):
        return Truth(answer=None, blocked="They were tried with other files than yours. Start again: archlab reset")
    lines = [f"| {key} | version {d.query.resource.version} | {_said(d)} |" for key, d in tried.items()]
    passed = [key for key, decision in tried.items() if decision.decision.allow]
    return Truth(answer=passed or ["none"], facts={"table": "\n".join(lines), "model": model})


def _with_this_file(evidence: Evidence, decision: DecisionRecord) -> bool:
    """Whether the gate saw the file that lies in this variant's store."""
    file, about = traces.done(evidence, traces.FILE), decision.query.resource
    version = next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))
    exchanged = (about.name, about.version) == (file.model, file.version)
    lies_there = file.after_sha256 if exchanged else version.tags["archlab.sha256"]
    return bool(decision.query.evidence["version"]["onnx"]["sha256"] == lies_there)


def _said(decision: DecisionRecord) -> str:
    if decision.decision.allow:
        return "let through"
    return "refused: " + ", ".join(sorted({r.code for r in decision.decision.reasons}))


def who_has_to_stop(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: champions that nobody else than who asked for them approved, by traces that were not changed."""
    live = [_at_start(evidence, m.name) for m in evidence.scenario.models]
    stop = [v.model for v in live if not traces.approved_by_another(v)]
    lines = [f"| {v.model} | {v.tags.get('archlab.requested_by', 'nobody')} | {v.approved_by} |" for v in live]
    return Truth(answer=stop or ["none"], facts={"table": "\n".join(lines), "stop": len(stop)})


def _at_start(evidence: Evidence, model: str) -> VersionFacts:
    """The version that was champion at the start."""
    about = traces.live_at_start(evidence, model).query.resource
    return next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))


def whose_way_is_broken(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: models whose champion was made with the run that is not on record any more."""
    job, ways = traces.declared(evidence, traces.LINK).job, traces.report(evidence).ways
    broken = [model for model, jobs in ways.items() if job in jobs]
    return Truth(answer=broken or ["none"], facts={"job": job, "models": ", ".join(broken) or "none"})


def removed_or_never(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: whether the missing event was taken out, as far as it can be shown."""
    gap = traces.declared(evidence, traces.LINK).how == "drop"
    seen = (
        "numbers are missing, and an event does not follow from the one before it" if gap else "all numbers are there"
    )
    return Truth(answer="removed" if gap else "unknown", facts={"seen": seen})


def how_often(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: hours between heads at which keeping them and looking again cost the least together."""
    best = hours(evidence)
    knobs = evidence.scenario.knobs
    yearly = HOURS_PER_YEAR / best * float(knobs["anchor-usd"])
    exposed = best / 2 * float(knobs["changes-per-day"]) / 24
    return Truth(answer=best, facts={"hours": best, "yearly": yearly, "exposed": exposed})


def hours(evidence: Evidence, *, average: float = 0.5, changes_per: float = 24) -> float:
    """Where the two costs meet: the price of heads falls with the interval, that of looking again grows with it."""
    knobs = evidence.scenario.knobs
    per_hour = float(knobs["changes-per-day"]) / changes_per
    lost = float(knobs["incidents-per-year"]) * average * per_hour * float(knobs["recheck-usd"])
    return sqrt(HOURS_PER_YEAR * float(knobs["anchor-usd"]) / lost)


def provable_again(evidence: Evidence, _variant: Variant) -> Truth:
    """State: what answers is what was decided, by decisions after the deed; the log is as it was found."""
    file, model = traces.done(evidence, traces.FILE), traces.before(evidence).query.resource.name
    serves_exchanged = champion_is_exchanged(evidence)
    decided, log = decided_anew(evidence, model), log_as_found(evidence)
    saw = (
        f"{file.model} is served by version {traces.champion(evidence, file.model).version}, whose stored file is "
        f"{'not ' if serves_exchanged else ''}the registered one; the champion of {model} rests on a decision that "
        f"{'was made since, with a second person behind it' if decided else 'proves nothing'}; the log of the start is "
        f"{'as it was found' if log else 'no longer as it was found'}."
    )
    return Truth(
        answer=not serves_exchanged and decided and log,
        facts={"model": model, "file": file.model},
        saw=saw,
        looked_for="both models served by a version whose stored file is the registered one and that a second person "
        "approved, the model of the edited record by a decision made since; the log of the start as it was found.",
    )


def champion_is_exchanged(evidence: Evidence) -> bool:
    """Whether the version whose file was exchanged is champion."""
    file = traces.done(evidence, traces.FILE)
    return traces.champion(evidence, file.model).version == file.version


def decided_anew(evidence: Evidence, model: str) -> bool:
    """Whether what is served of a model rests on a decision after the deed, approved by a second person."""
    live = traces.champion(evidence, model)
    later = [d for d in evidence.decisions if d.sequence > traces.report(evidence).records and d.decision.allow]
    about = {d.id: d.query.resource.version for d in later if d.query.action == CHAMPION}
    served = next((r for r in evidence.releases if r.model == model and r.role == "champion"), None)
    rests = served is not None and about.get(served.decision_id) == live.version == served.version
    return rests and traces.approved_by_another(live)


def log_as_found(evidence: Evidence) -> bool:
    """Whether nobody put the edited record back, took records away, or made the chain whole again."""
    found, deed = traces.found(evidence), traces.declared(evidence, traces.RECORD)
    whole = len(found) == traces.report(evidence).records
    return whole and found == forgery.forged(traces.written(evidence), deed)
