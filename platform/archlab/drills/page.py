"""A drill as one HTML page that needs nothing else: no script, nothing from elsewhere, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from archlab.drills import drawing, tiers
from archlab.drills.advice import advice
from archlab.drills.curve import curve
from archlab.drills.figures import figures, seconds
from archlab.drills.measure import acknowledgements
from archlab.drills.milestones import ABOUT, PAIRED, ROLLBACKS, fault_at, moment, outage
from archlab.spec.drill import Attempt, DrillReport, Kind, Measured, Where

if TYPE_CHECKING:
    from jinja2 import Environment

LISTED = 60
"""Lost writes that are listed; the others are counted."""
BEFORE_S, AFTER_S = 2.0, 1.0
"""What a curve shows beside the drill."""
CAVEAT = "By a probe outside both regions, on one machine: a small database, no DNS, nobody to wake up."
CAVEATS = {
    Where.LOCAL: CAVEAT,
    Where.KUBE: "By a probe outside the cluster, whose regions are namespaces: a small database, nobody to wake up.",
}
CLOCKS = (
    "All of them are the monotonic clock of one machine, read by three: the probe when an answer arrives, the platform"
    " when it notes what it does, the drill right before it injects something."
)


def render(name: str, report: DrillReport, attempts: Sequence[Attempt]) -> str:
    """The page.

    Args:
        name: the run's.
        report: what is kept of it.
        attempts: the probe's ledger; empty when there is none.
    """
    zero = fault_at(report)
    after = None if zero is None or not attempts else _lost_after(report, attempts, zero)
    return fill(
        "report.html",
        name=name,
        report=report,
        seen=report.measured,
        summary=summary(report),
        figures=figures(report),
        tiers=tiers.of(report),
        advice=advice(report, after),
        outage=drawing.lines(found) if len(found := outage(report)) > 1 else None,
        milestones=found,
        plot=None if zero is None or not attempts else _plot(report, attempts, zero),
        lost=() if zero is None or not attempts else lost_writes(report, attempts, zero),
        listed=LISTED,
        caveat=CAVEATS[report.target],
        clocks=CLOCKS,
        drawing=drawing,
    )


def fill(template: str, **values: Any) -> str:
    """A page from its template."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("archlab.drills", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["seconds"] = seconds
    return made


def summary(report: DrillReport) -> tuple[str, ...]:
    """What happened, in a few sentences for whoever reads nothing else."""
    seen, wanted = report.measured, report.objectives
    if seen is None:
        return (f"This drill says nothing: {'; '.join(report.reasons)}.",)
    about = ABOUT[report.about]
    allowed = "" if wanted.rto_s is None else f" ({wanted.rto_s:g} s allowed)"
    if seen.rto_s is None:
        out = f"From then on callers could not rely on {about}, until the drill was ended{allowed}."
    elif seen.rto_s == 0:
        out = f"None of the {about} failed because of it{allowed}."
    else:
        out = f"Callers could not rely on {about} for {seen.rto_s:.2f} s{allowed}."
    if seen.lost is None:
        lost = "Nobody could be asked which of the acknowledged writes are left."
    elif not seen.lost:
        lost = f"None of {seen.acknowledged:,} acknowledged writes is missing."
    else:
        since = (
            f"the last {seen.rpo_s:.2f} s before the fault are incomplete" if seen.rpo_s else "all from after the fault"
        )
        lost = f"{len(seen.lost):,} of {seen.acknowledged:,} acknowledged writes are missing: {since}."
    if report.surprise:
        out = f"It came unannounced, {report.surprise.delay_s:.0f} s after the control run. {out}"
    return (f"What was injected: {_injected(report, seen)}.", out, lost)


def _injected(report: DrillReport, seen: Measured) -> str:
    first = report.faults[0] if report.faults else None
    if first is None or len(report.faults) == 1:
        return seen.fault
    told = [first.name, *(f"{f.at - first.at:.1f} s later {f.name}" for f in report.faults[1:])]
    return f"{'; '.join(told)}. Clocks start at what callers felt: {seen.fault}"


def lost_writes(report: DrillReport, attempts: Sequence[Attempt], zero: float) -> tuple[tuple[int, float], ...]:
    """Numbers of the lost writes, oldest first, and when they were acknowledged, in seconds after the fault."""
    told = _acknowledged(attempts)
    lost = (report.measured and report.measured.lost) or ()
    return tuple(sorted(((n, told[n] - zero) for n in lost if n in told), key=lambda pair: pair[1]))


def _lost_after(report: DrillReport, attempts: Sequence[Attempt], zero: float) -> int:
    return sum(at >= 0 for _, at in lost_writes(report, attempts, zero))


def _acknowledged(attempts: Sequence[Attempt]) -> Mapping[int, float]:
    return acknowledgements([a for a in attempts if a.kind is Kind.WRITE])


def _plot(report: DrillReport, attempts: Sequence[Attempt], zero: float) -> drawing.Plot:
    newest = max(a.done for a in attempts)
    ends = min(newest, moment(report, PAIRED) or newest)
    found = curve(attempts, zero, zero - BEFORE_S, max(ends, zero) + AFTER_S)
    marks = [(m.at_s, m.name) for m in outage(report) if m.name in ("Fault", "First good answer")]
    if (rollbacks := moment(report, ROLLBACKS)) is not None:
        marks.append((rollbacks - zero, "failback begins"))
    return drawing.plot(found, marks)
