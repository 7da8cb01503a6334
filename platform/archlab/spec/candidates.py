"""Versions that a scenario has registered beside the champions: who stands behind them, what is claimed of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from .base import Slug, Spec

Nobody = Literal[""]
Evidence = Literal["baseline", "code_version", "data_digest", "evaluated_at", "parity_max_abs_diff"]
"""Tags `archlab.NAME` that a candidate may lack."""


class Candidate(Spec):
    """One version beyond a model's first: the trained file under a digest of its own, with declared claims.

    Registered, approved, amended, put on hold and promoted in this order, by the users that are named, through the gate
    like anybody else's: what the gate refuses can't be planted.
    """

    name: Slug
    """Tag `archlab.candidate`."""
    model: Slug
    registered_by: Slug | Nobody = ""
    """Who registers it; the pipelines' service account when empty."""
    requested_by: Slug | Nobody = ""
    """Tag `archlab.requested_by`: who asked for the training; no tag when empty."""
    better_percent: float = Field(default=0.0, gt=-50, lt=50)
    """Claimed metric: better than the trained file's own by so many percent of it."""
    holdout: str = Field(default="", max_length=40)
    """Name of other hold-out data than the champion's, with a digest of its own; the same data when empty."""
    holdout_rows: int = Field(default=0, ge=0)
    """Rows that it was measured on; as many as the trained file when 0."""
    evaluated_before: timedelta = timedelta(days=2)
    """How long before the scenario's start it was evaluated."""
    parity_max_abs_diff: float = Field(default=0.0, ge=0)
    """Claimed difference of ONNX and trained model; the trained file's own when 0."""
    without: tuple[Evidence, ...] = ()
    """Evidence that is left out."""
    approved_by: Slug | Nobody = ""
    """Who approves it at the start; nobody when empty."""
    amended_percent: float = Field(default=0.0, ge=0, lt=50)
    """Logged as its metric after the approval, like `better_percent`; nothing is logged when 0."""
    hold: str = Field(default="", max_length=80)
    """Why the approver puts it on hold (`archlab.hold`); no hold when empty."""
    promoted: bool = False
    """Made champion when the lab is made, so that its model has a former champion."""
