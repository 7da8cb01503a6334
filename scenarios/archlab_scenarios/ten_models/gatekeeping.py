"""What the promotion questions and the tour look for: a version that knows too much, and what became of it."""

from __future__ import annotations

import json

from archlab.spec.grading import Evidence, Truth, VersionFacts
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Variant

MODEL = "missed-connection"
CHAMPION = "promotion/champion"


def request_columns(facts: VersionFacts) -> frozenset[str]:
    """Columns that a version expects its callers to bring."""
    columns = json.loads(facts.tags.get("archlab.columns", "[]"))
    return frozenset(c["name"] for c in columns if c["source"] == "request")


def _versions(evidence: Evidence) -> list[VersionFacts]:
    return sorted((v for v in evidence.versions if v.model == MODEL), key=lambda v: int(v.version))


def honest_version(evidence: Evidence) -> str:
    """The first version, which knows what its callers know."""
    return next((v.version for v in _versions(evidence)), "1")


def known_columns(evidence: Evidence) -> frozenset[str]:
    """What callers bring when they ask: what the first version expects of them."""
    return next((request_columns(v) for v in _versions(evidence)), frozenset())


def leaky_version(evidence: Evidence) -> VersionFacts | None:
    """The newest version that wants something from callers which they do not bring."""
    known = known_columns(evidence)
    return next((v for v in reversed(_versions(evidence)) if request_columns(v) - known), None)


def decisions_on(evidence: Evidence, version: str) -> tuple[DecisionRecord, ...]:
    """Decisions about making a version of the model champion, oldest first."""
    return tuple(
        d
        for d in evidence.decisions
        if d.query.action == CHAMPION and d.query.resource.name == MODEL and d.query.resource.version == version
    )


def served_version(evidence: Evidence) -> str:
    """Version of the model that the release feed hands out as champion; empty when none."""
    return next((r.version for r in evidence.releases if r.model == MODEL and r.role == "champion"), "")


def champion_version(evidence: Evidence) -> str:
    """Version under alias `champion` in the registry; empty when none."""
    return next((v.version for v in evidence.versions if v.model == MODEL and "champion" in v.aliases), "")


def leak_rolled_back(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the version that knows too much was champion, and no longer is, in the registry and in what is served."""
    leaky = leaky_version(evidence)
    if leaky is None:
        return Truth(answer=None, blocked=_NO_LEAKY)
    allowed = [d for d in decisions_on(evidence, leaky.version) if d.decision.allow]
    if not allowed:
        return Truth(answer=None, blocked=f"Version {leaky.version} of {MODEL} was never champion: archlab tour.")
    served, alias = served_version(evidence), champion_version(evidence)
    later = [
        d
        for d in evidence.decisions
        if d.sequence > allowed[-1].sequence
        and d.decision.allow
        and (d.query.action, d.query.resource.name) == (CHAMPION, MODEL)
    ]
    reached = served not in ("", leaky.version) and alias == served and bool(later)
    return Truth(
        answer=reached,
        facts={
            "leaky": leaky.version,
            "served": served or "none",
            "promoted": f"{allowed[-1].business_time:%d %b %H:%M}",
        },
        saw=f"the registry's champion is version {alias or 'none'}, the feed serves version {served or 'none'}.",
        looked_for=f"a decision after the one that let version {leaky.version} through which put another version back, "
        "and that version in the registry and in the release feed.",
    )


def leak_refused(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the gate now refuses the very digest that it once let through, and still lets honest versions pass."""
    leaky = leaky_version(evidence)
    if leaky is None:
        return Truth(answer=None, blocked=_NO_LEAKY)
    asked = decisions_on(evidence, leaky.version)
    if not any(d.decision.allow for d in asked):
        return Truth(
            answer=None, blocked=f"The gate never let version {leaky.version} pass: follow archlab tour first."
        )
    last = asked[-1]
    bundle = last.decision.bundle_digest
    honest = [
        d
        for d in evidence.decisions
        if d.decision.bundle_digest == bundle and d.query.action == CHAMPION and d.decision.allow
    ]
    rules = sorted({r.rule for r in last.decision.reasons})
    verdict = "let through" if last.decision.allow else f"refused by {', '.join(rules)}"
    return Truth(
        answer=not last.decision.allow and bool(honest),
        facts={"leaky": leaky.version, "rules": ", ".join(rules), "bundle": bundle[:12]},
        saw=f"the last attempt to promote version {leaky.version} was {verdict} (bundle {bundle[:12]}); "
        f"{len(honest)} promotions were allowed under the same bundle.",
        looked_for=f"a refusal of version {leaky.version} under your bundle, and at least one promotion that the same "
        "bundle allows: a rule that refuses everything protects nothing.",
    )


_NO_LEAKY = f"{MODEL} has no version yet that looks too good: archlab tour brings it."
