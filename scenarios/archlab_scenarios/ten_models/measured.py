"""Truths over what experiments measured: designs on hidden days, sweeps."""

from __future__ import annotations

from archlab.experiments.scoring import judge
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Variant


def design_measured(evidence: Evidence, _variant: Variant) -> Truth:
    """Design: its place between the best naive design and the reference, on hidden days and under load."""
    return judge(evidence)
