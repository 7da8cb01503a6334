"""Truths about the decision log: what was hidden, what shows it, how much is proven, what may be claimed."""

from __future__ import annotations

from datetime import timedelta

from archlab.policy import audit, chain
from archlab.registry.evidence import PROMOTED_AT
from archlab.spec.airline import Scoreboard
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Variant
from archlab_scenarios.audit_trail import traces

DAY = timedelta(days=1)
NO_DAY = "Your lab has no whole business day on its books yet: archlab clock advance 1d"
HOW = {
    "edit": "its hash was left",
    "rehash": "its own hash was made right",
    "rewrite": "all that follows was written anew",
}
PARTS = {"approver": "who approved it", "asker": "who promoted it", "time": "when it went live"}


def what_it_hides(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: which part of the record is not as it was written."""
    was, now = traces.before(evidence), traces.now(evidence)
    version = was.query.evidence["version"], now.query.evidence["version"]
    if version[0]["approved_by"] != version[1]["approved_by"]:
        part, values = "approver", (version[0]["approved_by"], version[1]["approved_by"])
    elif was.query.subject.user != now.query.subject.user:
        part, values = "asker", (was.query.subject.user, now.query.subject.user)
    else:
        part, values = "time", (f"{was.business_time:%d %B}", f"{now.business_time:%d %B}")
    facts = {"record": now.sequence, "model": now.query.resource.name, "was": values[0], "now": values[1]}
    return Truth(answer=part, facts={**facts, "part": PARTS[part]})


def what_shows_it(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which checks, each by itself, disagree with the log as it is found."""
    was, now, log = traces.before(evidence), traces.now(evidence), traces.found(evidence)
    by_sequence = {record.sequence: record.hash for record in log}
    about = was.query.resource
    version = next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))
    shown = {
        "chain": bool(chain.verify(log)),
        "heads": any(by_sequence.get(a.sequence) != a.hash for a in traces.heads(evidence)),
        "events": now.hash != was.hash,
        "tags": now.query.evidence["version"]["approved_by"] != version.approved_by
        or f"{now.business_time:%Y-%m-%d}" != version.tags[PROMOTED_AT][:10],
    }
    facts = {"how": HOW[traces.declared(evidence, traces.RECORD).how], "heads": len(traces.heads(evidence))}
    return Truth(answer=[key for key, shows in shown.items() if shows] or ["none"], facts=facts)


def how_many_proven(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: records of the start that an anchor still proves."""
    proven, kept = traces.still_proven(evidence), [a.sequence for a in traces.heads(evidence)]
    left = sorted({r.sequence for r in traces.found(evidence)} - proven)
    return Truth(
        answer=len(proven),
        facts={
            "proven": len(proven),
            "records": len(traces.found(evidence)),
            "kept": " and ".join(map(str, kept)),
            "edited": traces.before(evidence).sequence,
            "left": ", ".join(map(str, left)) or "none",
        },
    )


def answers_in_doubt(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: percent of a day's answers given by models whose promotion is not proven."""
    day = last_day(evidence)
    if day is None:
        return Truth(answer=None, blocked=NO_DAY)
    answers, proven = asked(evidence, day), traces.still_proven(evidence)
    doubtful = [m for m in answers if traces.live_at_start(evidence, m).sequence not in proven]
    share = 100 * sum(answers[m] for m in doubtful) / sum(answers.values())
    facts = {"models": ", ".join(sorted(doubtful)) or "none", "share": share, "answers": sum(answers.values())}
    return Truth(answer=share, facts=facts)


def last_day(evidence: Evidence) -> Scoreboard | None:
    """The last whole business day."""
    whole = [day for day in evidence.daily if day.until - day.since >= DAY]
    return whole[-1] if whole else None


def asked(evidence: Evidence, day: Scoreboard) -> dict[str, int]:
    """Answers of a day by model, as many as the replayed ones stand for."""
    return {s.model: s.requests * evidence.scenario.model(s.model).caller.represents for s in day.models}


def what_may_be_claimed(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: what the evidence pack says, and whether the promotion behind the edited record kept to the control."""
    says, kept = pack_says(evidence), kept_to_it(evidence)
    answer = f"{'silent' if says == 'not verifiable' else 'operated'}-{'kept' if kept else 'broken'}"
    about = traces.before(evidence).query.resource
    version = next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))
    facts = {
        "says": says,
        "model": about.name,
        "asked": version.tags.get("archlab.requested_by", "nobody"),
        "approved": version.approved_by,
    }
    return Truth(answer=answer, facts=facts)


def pack_says(evidence: Evidence) -> str:
    """Verdict of the evidence pack over the scenario's start, by the heads that were kept."""
    end = evidence.scenario.starts + timedelta(seconds=1)
    log, kept = traces.found(evidence), traces.heads(evidence)
    since = evidence.scenario.starts.replace(day=1, hour=0)
    pack = audit.evidence("four-eyes", evidence.lab, log, (), kept, since=since, until=end, now=evidence.taken)
    return pack.verdict


def kept_to_it(evidence: Evidence) -> bool:
    """Whether somebody else than who asked for it approved the version of the edited record, by the registry's tags."""
    about = traces.before(evidence).query.resource
    version = next(v for v in evidence.versions if (v.model, v.version) == (about.name, about.version))
    return traces.approved_by_another(version)
