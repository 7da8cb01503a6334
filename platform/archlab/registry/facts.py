"""A version as evidence for grading has it, seen as the gate sees it."""

from __future__ import annotations

from archlab.registry import evidence as gate
from archlab.spec.grading import VersionFacts


def as_registered(facts: VersionFacts) -> gate.Version:
    """The version with the file that was registered."""
    digest = facts.tags.get(gate.SHA256) or None
    return gate.Version(facts.model, facts.version, facts.run_id, "", facts.tags, facts.metrics, digest)


def fingerprint(facts: VersionFacts) -> str:
    """Digest of what an approval of the version, as it is here, is about."""
    return gate.fingerprint(as_registered(facts))


def still_approved(facts: VersionFacts) -> bool:
    """Whether it is what was approved."""
    return bool(facts.approved_by) and facts.tags.get(gate.APPROVED_EVIDENCE) == fingerprint(facts)
