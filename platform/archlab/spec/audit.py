"""What an auditor gets: heads of the decision log kept elsewhere, and the evidence that a control worked."""

from __future__ import annotations

from typing import Literal

from .base import Sha256, Spec, UtcTime


class Anchor(Spec):
    """The decision log's last record at a moment, kept outside the lab."""

    format: Literal["archlab/decision-anchor/v1"] = "archlab/decision-anchor/v1"
    lab: str
    sequence: int
    hash: Sha256
    wall_time: UtcTime


class Soundness(Spec):
    """Whether a log is what was written."""

    records: int
    head: Sha256
    anchors: int
    faults: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """No fault was found."""
        return not self.faults


class Finding(Spec):
    """One promotion, or deletion, that a control was about, and whether it kept to it."""

    sequence: int
    decision_id: str
    business_time: UtcTime
    model: str
    version: str
    digest: str
    promoted_by: str
    """Who promoted it; of a deletion, who deleted it."""
    author: str
    approved_by: str
    engine: str
    bundle_digest: str
    exceptions: tuple[str, ...]
    """What was not as the control says; empty when it was."""
    waived: tuple[str, ...] = ()
    """Rules that an exception stood in for, each with who granted it and until when."""


class EvidencePack(Spec):
    """What stands behind a statement such as: no model went live in March without a second person's approval."""

    format: Literal["archlab/evidence-pack/v1"] = "archlab/evidence-pack/v1"
    control: str
    statement: str
    lab: str
    since: UtcTime
    until: UtcTime
    """Business time: since <= t < until."""
    taken: UtcTime
    verdict: Literal["operated", "exceptions", "not verifiable"]
    log: Soundness
    findings: tuple[Finding, ...]
    unexplained: tuple[str, ...]
    """Releases that are served and that no decision of the log let through."""
