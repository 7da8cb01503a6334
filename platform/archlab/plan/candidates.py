"""What a declared candidate claims, from what is known of the trained file: pure arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from archlab.spec.candidates import Candidate
from archlab.spec.grading import VersionFacts

NAME, REQUESTED_BY = "archlab.candidate", "archlab.requested_by"


def value(candidate: Candidate, trained: float, *, higher_is_better: bool, amended: bool = False) -> float:
    """The claimed metric, better than the trained file's by a share of it; once amended, by another share."""
    percent = candidate.amended_percent if amended and candidate.amended_percent else candidate.better_percent
    return trained * (1 + (percent if higher_is_better else -percent) / 100)


def data_digest(candidate: Candidate, trained: str) -> str:
    """Digest of the data that it was measured on: the trained file's, or one of the hold-out's name."""
    return hashlib.sha256(f"{trained}/{candidate.holdout}".encode()).hexdigest() if candidate.holdout else trained


def evaluated_at(candidate: Candidate, starts: datetime) -> datetime:
    """When it was measured, on the business clock."""
    return starts - candidate.evaluated_before


def own_tags(candidate: Candidate) -> dict[str, str]:
    """Tags that only candidates carry."""
    asked = {REQUESTED_BY: candidate.requested_by} if candidate.requested_by else {}
    return {NAME: candidate.name, **asked}


def left_out(candidate: Candidate) -> frozenset[str]:
    """Tags that it lacks."""
    return frozenset(f"archlab.{name}" for name in candidate.without)


def trained(versions: Iterable[VersionFacts], model: str) -> VersionFacts:
    """A model's version as it was trained; its candidates' claims start from it."""
    return next(v for v in versions if v.model == model and NAME not in v.tags)
