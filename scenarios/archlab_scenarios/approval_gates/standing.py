"""Where each candidate stands: who asked for it, who approved it, what it was measured on."""

from __future__ import annotations

from archlab.plan.candidates import NAME, REQUESTED_BY, trained
from archlab.registry.evidence import PROMOTED_AT
from archlab.settings import data_root
from archlab.spec.candidates import Candidate
from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.policy import DecisionRecord

CHAMPION, CHALLENGER = "promotion/champion", "promotion/challenger"

SHIPPED = frozenset(
    f"{file.parent.parent.name}/{file.parent.name}" for file in data_root("policies").glob("*/*/*.rego")
)
"""Rules that come with the product; any other one is the learner's."""


def declared(evidence: Evidence) -> tuple[Candidate, ...]:
    """Candidates that wait for a decision when the lab starts, in the order of the list."""
    return tuple(c for c in evidence.scenario.candidates if not c.promoted)


def named(evidence: Evidence, candidate: str) -> VersionFacts:
    """The version that a candidate is registered as; KeyError otherwise."""
    for facts in evidence.versions:
        if facts.tags.get(NAME) == candidate:
            return facts
    raise KeyError(candidate)


def waiting(evidence: Evidence) -> list[VersionFacts]:
    """The twelve, in the order of the list."""
    return [named(evidence, c.name) for c in declared(evidence)]


def champion(evidence: Evidence, model: str) -> VersionFacts:
    """The version under alias `champion`; KeyError when there is none."""
    for facts in evidence.versions:
        if facts.model == model and "champion" in facts.aliases:
            return facts
    raise KeyError(model)


def value(facts: VersionFacts) -> float:
    """The claimed metric."""
    return facts.metrics[facts.tags["archlab.metric"]]


def better(facts: VersionFacts, other: float) -> bool:
    """Whether its metric is better than another value of it."""
    return value(facts) > other if facts.tags["archlab.higher_is_better"] == "true" else value(facts) < other


def requester(evidence: Evidence, facts: VersionFacts) -> str:
    """The person who asked for it: who is named, or who registered it in person; empty when nobody knows."""
    in_person = facts.author if facts.author != evidence.scenario.trainer else ""
    return facts.tags.get(REQUESTED_BY) or in_person


def objections(evidence: Evidence, facts: VersionFacts) -> tuple[str, ...]:
    """What the house's two rules have against a candidate: `yardstick`, `requester`."""
    found = []
    if facts.tags.get("archlab.data_digest") != _measured_on(evidence, facts.model):
        found.append("yardstick")
    asked = requester(evidence, facts)
    if not asked or facts.approved_by in (asked, facts.author):
        found.append("requester")
    return tuple(found)


def _measured_on(evidence: Evidence, model: str) -> str:
    """Digest of the data that the model's first version was measured on; its champions are measured on it."""
    return trained(evidence.versions, model).tags["archlab.data_digest"]


def former_champions(evidence: Evidence, model: str) -> list[VersionFacts]:
    """Versions that were champion and no longer are."""
    return [v for v in evidence.versions if v.model == model and PROMOTED_AT in v.tags and "champion" not in v.aliases]


def asked(evidence: Evidence, facts: VersionFacts, action: str = CHAMPION) -> list[DecisionRecord]:
    """Decisions about this version with the evidence that it has now, oldest first."""
    return [
        d
        for d in evidence.decisions
        if (d.query.action, d.query.resource.name, d.query.resource.version) == (action, facts.model, facts.version)
        and _same_evidence(d, facts)
    ]


def _same_evidence(decision: DecisionRecord, facts: VersionFacts) -> bool:
    """Whether the decision was about these claims, asked for and approved by these people."""
    about = decision.query.evidence.get("version", {})
    tags = decision.query.resource.tags
    return (
        about.get("value") == value(facts)
        and about.get("approved_by", "") == facts.approved_by
        and all(tags.get(k) == facts.tags.get(k) for k in (REQUESTED_BY, "archlab.data_digest", "archlab.evaluated_at"))
    )


def own_rules(decision: DecisionRecord) -> set[str]:
    """The learner's rules among those that object."""
    named = {r.rule for r in decision.decision.reasons}
    return {rule for rule in named - SHIPPED if not rule.startswith("archlab/")}


def table(evidence: Evidence, candidates: list[VersionFacts]) -> str:
    """For explanations: a line per candidate."""
    lines = []
    for facts in candidates:
        data = "as the champion" if "yardstick" not in objections(evidence, facts) else "other data"
        who = requester(evidence, facts) or "nobody knows"
        lines.append(f"| {facts.tags[NAME]} | {value(facts):.4f} | {data} | {who} | {facts.approved_by or 'nobody'} |")
    return "\n".join(lines)
