"""Truths over what experiments measured: designs on hidden days, sweeps."""

from __future__ import annotations

from archlab.experiments.scoring import judge
from archlab.spec.experiments import Estimate, Sweep, SweepPoint
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Model, Variant


def design_measured(evidence: Evidence, _variant: Variant) -> Truth:
    """Design: its place between the best naive design and the reference, on hidden days and under load."""
    return judge(evidence)


def slowest_materialisation(evidence: Evidence, _variant: Variant) -> Truth:
    """flight-time: how seldom may `corridor` be brought up to date without losing more quality than promised?"""
    sweep = _sweep(evidence, "materialisation", "flight-time")
    points = {p.settings["every_s"]: p for p in sweep.points} if sweep and sweep.fixed.get("view") == "corridor" else {}
    if not set(INTERVALS) <= set(points):
        return Truth(answer=None, blocked="Measure it first: archlab sweep materialisation flight-time corridor")
    limit = evidence.scenario.model("flight-time").slo.max_quality_loss or 0.0
    losses = {every: points[every].measures["difference"] for every in INTERVALS}
    prices = {every: points[every].measures["usd_per_day"].value for every in INTERVALS}
    rows = [
        f"| {key} | {losses[every].value:.2f} ({losses[every].low:.2f} to {losses[every].high:.2f}) | "
        f"{prices[every]:.5f} |"
        for every, key in INTERVALS.items()
    ]
    facts: dict[str, str | int | float] = {"table": "\n".join(rows), "limit": limit}
    for every, key in sorted(INTERVALS.items(), reverse=True):
        holds = _at_most(losses[every], limit)
        if holds is None:
            return Truth(answer=None, facts=facts, interval=(losses[every].low, losses[every].high), saw=_MORE_DAYS)
        if holds:
            waste = prices[min(INTERVALS)] - prices[every]
            return Truth(answer=key, facts=facts | {"answer": key, "waste": 365 * waste})
    return Truth(answer="every-30-minutes", facts=facts | {"answer": "every-30-minutes", "waste": 0.0})


def replicas_at_peak(evidence: Evidence, _variant: Variant) -> Truth:
    """departure-delay: the fewest replicas of which one may be lost at the peak."""
    model = evidence.scenario.model("departure-delay")
    peak = model.slo.peak_share or 0.0
    sweep = _sweep(evidence, "load", model.name)
    at_peak = [p for p in sweep.points if abs(p.settings["share"] - peak) < 1e-9] if sweep else []
    points = {int(p.settings["replicas"]): p for p in at_peak}
    if not set(SURVIVORS) <= set(points):
        return Truth(answer=None, blocked="Measure it first, at your peak: archlab sweep load departure-delay")
    rows = []
    for count in SURVIVORS:
        p99, rate = points[count].measures["p99_ms"], points[count].measures["per_second"]
        rows.append(f"| {count} | {rate.value:,.0f} | {p99.value:.0f} ({p99.low:.0f} to {p99.high:.0f}) |")
    facts: dict[str, str | int | float] = {
        "table": "\n".join(rows),
        "offered": points[1].settings["offered_per_s"],
        "slo": model.slo.p99_ms,
    }
    for count, key in SURVIVORS.items():
        p99 = points[count].measures["p99_ms"]
        carries = _carries(points[count], model)
        if carries is None:
            return Truth(answer=None, facts=facts, interval=(p99.low, p99.high), saw=_MORE_REPEATS)
        if carries:
            return Truth(answer=key, facts=facts | {"answer": key})
    return Truth(answer="none", facts=facts | {"answer": "none"})


INTERVALS = {1_800: "every-30-minutes", 3_600: "hourly", 21_600: "six-hourly", 86_400: "daily"}
"""Seconds between two materialisations, and the option that stands for it."""

SURVIVORS = {1: "two", 2: "three", 3: "four"}
"""Replicas that are left, and the option: one more."""

_MORE_DAYS = "Measure over more days: archlab sweep materialisation flight-time corridor --days 56"
_MORE_REPEATS = "Measure again on a quieter machine, or more often: archlab sweep load departure-delay --repeats 8"


def _sweep(evidence: Evidence, name: str, model: str) -> Sweep | None:
    return next((s for s in evidence.sweeps if (s.name, s.model) == (name, model)), None)


def _at_most(found: Estimate, limit: float) -> bool | None:
    """None when the interval straddles the limit."""
    return True if found.high <= limit else False if found.low > limit else None


def _carries(point: SweepPoint, model: Model) -> bool | None:
    """Whether the replicas kept the SLO at this load; None when the repeats disagree."""
    available = point.measures["availability"]
    if available.high < model.slo.availability:
        return False
    in_time = _at_most(point.measures["p99_ms"], model.slo.p99_ms)
    if in_time and available.value < model.slo.availability:
        return None
    return in_time
