"""What proves that a step of the tour happened; each says what is missing otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from archlab.spec.airline import Scoreboard
from archlab.spec.grading import Evidence
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models import gatekeeping as gate

RULE = Path("policies/promotion/inputs_known_at_prediction")
GAP = "GAP"
"""Word that the skeleton has where the learner's line goes."""


def values(evidence: Evidence) -> Mapping[str, str]:
    """Figures for the tour's texts and commands."""
    leaky = gate.leaky_version(evidence)
    found = {"honest": gate.honest_version(evidence), "leaky": leaky.version if leaky else "2"}
    if leaky is not None:
        known = gate.known_columns(evidence)
        found["claimed"] = f"{leaky.metrics.get('auc', float('nan')):.3f}"
        found["extra"] = ", ".join(sorted(gate.request_columns(leaky) - known))
    before, after = _day_before(evidence), _day_after(evidence)
    for name, day in (("before", before), ("after", after)):
        if day is not None:
            score = eco.row(day, gate.MODEL)
            found[f"quality_{name}"] = "unknown" if score.quality is None else f"{score.quality:.3f}"
            found[f"value_{name}"] = f"{eco.usd(score.value_nanousd):.2f}"
            found[f"late_{name}"] = str(score.late)
            found[f"p99_{name}"] = "unknown" if score.p99_ms is None else f"{score.p99_ms:.0f}"
    return found


def one_day_over(evidence: Evidence, _lab: Path) -> str:
    """A whole business day is on the books."""
    return "" if eco.full_days(evidence) else "No whole business day is over yet: archlab clock advance 1d"


def second_version(evidence: Evidence, _lab: Path) -> str:
    """A version that wants more from its callers is registered."""
    return "" if gate.leaky_version(evidence) else "missed-connection has no second version in the registry yet."


def promoted(evidence: Evidence, _lab: Path) -> str:
    """The gate let that version become champion."""
    leaky = gate.leaky_version(evidence)
    if leaky is None:
        return "missed-connection has no second version yet: archlab tour --from a-brilliant-version"
    if _promoted_at(evidence) is not None:
        return ""
    refused = gate.decisions_on(evidence, leaky.version)
    if refused:
        reasons = "; ".join(r.message for r in refused[-1].decision.reasons)
        return f"The gate refused version {leaky.version}: {reasons}"
    return f"Nobody has promoted version {leaky.version} yet: approve it, then promote it."


def day_with_it(evidence: Evidence, _lab: Path) -> str:
    """A whole business day was answered by that version."""
    if _promoted_at(evidence) is None:
        return "The second version was never champion: archlab tour --from promote-it"
    if _day_after(evidence) is None:
        return "No whole business day has passed since it became champion: archlab clock advance 1d"
    return ""


def rolled_back(evidence: Evidence, _lab: Path) -> str:
    """An honest version is champion again, in the registry and in what is served."""
    truth = gate.leak_rolled_back(evidence, evidence.variant)
    return truth.blocked or ("" if truth.answer is True else f"Seen: {truth.saw} archlab rollback missed-connection")


def rule_in_force(_evidence: Evidence, lab: Path) -> str:
    """The learner's rule is there, its gap is filled, and the signed bundle holds it."""
    files = sorted((lab / RULE).glob("*.rego"))
    if not files:
        return f"There is no rule in {lab / RULE}: archlab tour --from write-the-rule"
    if any(GAP in f.read_text() for f in files):
        return f"The gap in {files[0]} is still open. Fill it, or take the solution: archlab tour --solution"
    bundle = lab / "policy" / "bundle.json"
    if not bundle.exists() or "inputs_known_at_prediction" not in bundle.read_text():
        return "The bundle in force does not hold your rule yet: archlab policy apply"
    return ""


def refused(evidence: Evidence, _lab: Path) -> str:
    """The gate refuses that version, and lets an honest one pass."""
    truth = gate.leak_refused(evidence, evidence.variant)
    return truth.blocked or ("" if truth.answer is True else f"Looked for {truth.looked_for} Seen: {truth.saw}")


def _promoted_at(evidence: Evidence) -> datetime | None:
    """Business time at which the leaky version last became champion."""
    leaky = gate.leaky_version(evidence)
    allowed = [d for d in gate.decisions_on(evidence, leaky.version) if d.decision.allow] if leaky else []
    return allowed[-1].business_time if allowed else None


def _day_before(evidence: Evidence) -> Scoreboard | None:
    at = _promoted_at(evidence)
    days = [d for d in eco.full_days(evidence) if at is None or d.until <= at]
    return days[-1] if days else None


def _day_after(evidence: Evidence) -> Scoreboard | None:
    at = _promoted_at(evidence)
    days = [d for d in eco.full_days(evidence) if at is not None and d.since >= at]
    return days[0] if days else None
