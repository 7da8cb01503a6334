"""Truths that follow from a candidate's evidence and the rules: how long, how sure, what is left to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import sqrt
from statistics import NormalDist

from archlab.plan.candidates import NAME
from archlab.registry.evidence import HOLD, PROMOTED_AT, REPLACED_AT
from archlab.registry.facts import fingerprint, still_approved
from archlab.spec.grading import Evidence, Truth, VersionFacts
from archlab.spec.scenario import Variant
from archlab_scenarios.approval_gates import standing as at
from archlab_scenarios.approval_gates.asking import FREEZE, is_frozen

KEPT = timedelta(days=30)
"""How long evidence, approvals and former champions last, by the rules as shipped."""

LEAST_ROWS = 100
MOST_DIFFERENCE = 0.001
SURE = 0.95
PER_ROWS = 1000
"""The knob `scatter-percent` is of a measurement on so many rows."""

STOPPED = {
    "a file full of pickled objects is registered under the name model.onnx": "register",
    "the care lead approves a version that the care lead has registered": "approve",
    "the file of an approved candidate is exchanged in the artifact store": "promote",
    "the alias champion is moved by hand in the database of the registry": "release",
    "the file of a champion is exchanged among those that were handed to the servers": "server",
}
"""Where each attack is first stopped; tests/archlab/registry and tests/archlab_serving try them."""


def margin_for_luck(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: the margin that the best of many equal retrainings does not reach, in percent of the value."""
    margin = luck(evidence, tries(evidence))
    return Truth(
        answer=margin,
        facts={"rows": round(rows(evidence)), "one": scatter(evidence), "margin": margin, "naive": luck(evidence, 1)},
    )


def luck(evidence: Evidence, looks: int) -> float:
    """What so many looks at the same quality stay below with the wanted certainty, in percent."""
    return NormalDist().inv_cdf(SURE ** (1 / looks)) * scatter(evidence)


def tries(evidence: Evidence) -> int:
    """How many retrainings there are."""
    return int(evidence.scenario.knobs["tries"])


def rows(evidence: Evidence) -> float:
    """Hold-out rows of the champion that is asked about."""
    return at.champion(evidence, str(evidence.scenario.knobs["judged"])).metrics["holdout_rows"]


def scatter(evidence: Evidence) -> float:
    """Standard deviation of one measurement on the hold-out, in percent of the value."""
    return float(evidence.scenario.knobs["scatter-percent"]) * sqrt(PER_ROWS / rows(evidence))


def last_hour(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: hours from the start until a candidate can't become champion any more without a new evaluation."""
    facts = at.named(evidence, str(evidence.scenario.knobs["urgent"]))
    ends = evidence_ends(facts)
    last = freeze_began(ends) if is_frozen(ends) else ends
    start = evidence.scenario.starts
    return Truth(
        answer=hours(start, last),
        facts={
            "evaluated": f"{ends - KEPT:%d %B, %H:%M}",
            "ends": f"{ends:%d %B, %H:%M}",
            "last": f"{last:%d %B, %H:%M}",
            "hours": hours(start, last),
        },
    )


def evidence_ends(facts: VersionFacts) -> datetime:
    """When its evaluation is too old."""
    return datetime.fromisoformat(facts.tags["archlab.evaluated_at"]) + KEPT


def freeze_began(when: datetime) -> datetime:
    """Midnight before the freeze of that year."""
    month, day = (int(part) for part in FREEZE[0].split("-"))
    return when.replace(month=month, day=day, hour=0, minute=0, second=0, microsecond=0)


def hours(since: datetime, until: datetime) -> float:
    """Hours between two moments."""
    return (until - since).total_seconds() / 3600


def approval_holds(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: what may happen to an approved candidate without voiding its approval."""
    facts = at.named(evidence, "congestion-b")
    tag, days = str(evidence.scenario.knobs["edited-tag"]), int(evidence.scenario.knobs["days-later"])
    before = fingerprint(facts)
    retagged = facts.model_copy(update={"tags": {**facts.tags, tag: "something else"}})
    remeasured = facts.model_copy(update={"metrics": {**facts.metrics, "brier": 0.1}})
    holds = {
        "tag": fingerprint(retagged) == before,
        "metric": fingerprint(remeasured) == before,
        "challenger": True,
        "days": timedelta(days=days) <= KEPT,
    }
    return Truth(answer=[key for key, good in holds.items() if good], facts={"days": days})


def may_be_deleted(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which versions the rules let go on the day of the review."""
    when = evidence.scenario.starts + timedelta(days=int(evidence.scenario.knobs["review-days"]))
    about = {
        "former": next(v for v in evidence.versions if v.model == "flight-time" and v.version == "1"),
        "champion": at.champion(evidence, "flight-time"),
        "never": at.named(evidence, "connect-b"),
        "disputed": at.named(evidence, "cancel-b"),
    }
    going = [key for key, facts in about.items() if _may_go(facts, when)]
    return Truth(
        answer=going or ["none"],
        facts={"when": f"{when:%d %B}", "hold": about["disputed"].tags.get(HOLD, "") or "none"},
    )


def _may_go(facts: VersionFacts, when: datetime) -> bool:
    if facts.tags.get(HOLD):
        return False
    if PROMOTED_AT not in facts.tags:
        return True
    replaced = facts.tags.get(REPLACED_AT)
    return replaced is not None and when - datetime.fromisoformat(replaced) >= KEPT


def smallest_step(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: the least that has to be done until a candidate can honestly pass the rules as shipped."""
    facts = at.named(evidence, str(evidence.scenario.knobs["refused-one"]))
    return Truth(answer=step(evidence, facts), facts={"why": _why(evidence, facts), "name": facts.tags[NAME]})


def step(evidence: Evidence, facts: VersionFacts) -> str:
    """What is amiss decides; what needs a new file outweighs what needs a new measurement, and that an approval."""
    if facts.metrics["parity_max_abs_diff"] > MOST_DIFFERENCE:
        return "new-version"
    if facts.metrics["holdout_rows"] < LEAST_ROWS or evidence_ends(facts) < evidence.scenario.starts:
        return "measure"
    if not still_approved(facts):
        return "approval"
    return "nothing"


def _why(evidence: Evidence, facts: VersionFacts) -> str:
    return {
        "new-version": f"its file answers by {facts.metrics['parity_max_abs_diff']:g} otherwise than what was trained",
        "measure": f"{facts.metrics['holdout_rows']:.0f} rows, evaluated {facts.tags['archlab.evaluated_at'][:10]}",
        "approval": "its figures changed after the approval" if facts.approved_by else "nobody has approved it",
        "nothing": "complete, recent, approved and unchanged",
    }[step(evidence, facts)]


def first_stopped(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: the earliest point at which an attack fails."""
    attack = str(evidence.scenario.knobs["attack"])
    return Truth(answer=STOPPED[attack], facts={"attack": attack})
