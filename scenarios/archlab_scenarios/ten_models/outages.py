"""What really went on while a unit of the control plane was down."""

from __future__ import annotations

from archlab.spec.grading import Evidence, Truth
from archlab.spec.outages import Outage
from archlab.spec.scenario import Variant


def what_goes_on(evidence: Evidence, _variant: Variant) -> Truth:
    """The things that worked every time, in the newest outage of the variant's unit."""
    unit = str(evidence.scenario.knobs["outage"])
    found = newest(evidence, unit)
    if found is None:
        return Truth(answer=None, blocked=f"Commit your forecast, then stop it: archlab outage {unit}")
    went_on = [p.key for p in found.probes if p.succeeded == p.tried]
    lines = [f"| {p.key} | {p.succeeded} of {p.tried} | {_cell(p.detail)} |" for p in found.probes]
    return Truth(answer=went_on or ["none"], facts={"table": "\n".join(lines), "unit": unit})


def newest(evidence: Evidence, unit: str) -> Outage | None:
    """The last outage of a unit; None when there was none."""
    return next((o for o in reversed(evidence.outages) if o.unit == unit), None)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())
