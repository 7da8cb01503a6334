"""All kept drills side by side: does recovery get better? As rows for the terminal, and as a page. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from archlab.drills import drawing
from archlab.drills.page import CAVEATS, fill
from archlab.spec.drill import DrillReport, Replication, Verdict, Where

WIDTH, HIGH = 360, 90
LEFT, TOP, EDGE = 44, 24, 12


class Course(NamedTuple):
    """All runs of a drill with one kind of replication, in one kind of place."""

    drill: str
    title: str
    replication: Replication
    target: Where
    runs: tuple[DrillReport, ...]
    """Oldest first."""

    def ended(self, verdict: Verdict) -> int:
        """How many ended so."""
        return sum(r.verdict is verdict for r in self.runs)

    @property
    def rtos(self) -> tuple[float, ...]:
        """Of the runs that recovered, in seconds."""
        return tuple(r.measured.rto_s for r in self.runs if r.measured and r.measured.rto_s is not None)

    @property
    def median_rto_s(self) -> float | None:
        """Of the runs that recovered; None when none did."""
        return median(self.rtos) if self.rtos else None

    @property
    def last_rto_s(self) -> float | None:
        """Of the last run that says something; None when it did not recover."""
        said = [r.measured.rto_s for r in self.runs if r.measured]
        return said[-1] if said else None

    @property
    def worst_rpo_s(self) -> float | None:
        """Of all runs whose RPO is known."""
        return max((r.measured.rpo_s for r in self.runs if r.measured and r.measured.rpo_s is not None), default=None)

    @property
    def most_lost(self) -> int | None:
        """Writes that the worst run lost."""
        return max(
            (len(r.measured.lost) for r in self.runs if r.measured and r.measured.lost is not None), default=None
        )


class Dot(NamedTuple):
    """A run in a chart."""

    x: float
    y: float
    verdict: str
    never: bool
    """Whether it never recovered: it stands at the upper edge."""
    title: str


class Chart(NamedTuple):
    """RTO of a course, run by run."""

    course: Course
    dots: tuple[Dot, ...]
    line: str
    """Points of the line between the runs that recovered."""
    objective: float | None
    """Where the last run's objective lies."""
    ticks: tuple[drawing.Tick, ...]


def courses(reports: Mapping[str, DrillReport]) -> tuple[Course, ...]:
    """Reports by drill, replication and target.

    Args:
        reports: by the name of the run, oldest first.
    """
    found: dict[tuple[str, Replication, Where], list[DrillReport]] = defaultdict(list)
    for report in reports.values():
        found[report.drill, report.posture.replication, report.target].append(report)
    return tuple(
        Course(drill, runs[-1].title, replication, target, tuple(runs))
        for (drill, replication, target), runs in sorted(found.items())
    )


def render(reports: Mapping[str, DrillReport]) -> str:
    """The page.

    Args:
        reports: by the name of the run, oldest first; at least one.
    """
    found = courses(reports)
    counts = {v.value: sum(c.ended(v) for c in found) for v in Verdict}
    return fill(
        "trend.html",
        charts=[chart(c) for c in found if any(r.measured for r in c.runs)],
        runs=list(reports.items())[::-1],
        counts=counts,
        caveat=" ".join(CAVEATS[target] for target in sorted({c.target for c in found})),
        size=(WIDTH, TOP + HIGH + EDGE),
        left=LEFT,
        right=WIDTH - EDGE,
        top=TOP,
    )


def chart(course: Course) -> Chart:
    """Where its runs stand; void ones are left out."""
    said = [(r, r.measured) for r in course.runs if r.measured]
    wanted = said[-1][0].objectives.rto_s
    most = max([*course.rtos, wanted or 0.0, 0.1]) * 1.1
    step = (WIDTH - LEFT - EDGE) / max(1, len(said))

    def y(rto_s: float | None) -> float:
        return TOP + (0.0 if rto_s is None else HIGH - HIGH * rto_s / most)

    dots = tuple(
        Dot(
            x=LEFT + step * (n + 0.5),
            y=y(seen.rto_s),
            verdict=report.verdict.value,
            never=seen.rto_s is None,
            title=f"{report.began:%d %b %Y %H:%M}: {report.verdict.value}, RTO "
            + ("never" if seen.rto_s is None else f"{seen.rto_s:.2f} s"),
        )
        for n, (report, seen) in enumerate(said)
    )
    return Chart(
        course=course,
        dots=dots,
        line=_line([d for d in dots if not d.never]),
        objective=None if wanted is None else y(wanted),
        ticks=tuple(drawing.Tick(TOP + HIGH - t.at, t.label) for t in drawing.ticks(0.0, most, 0.0, HIGH)[::2]),
    )


def _line(dots: Sequence[Dot]) -> str:
    return " ".join(f"{d.x:.1f},{d.y:.1f}" for d in dots) if len(dots) > 1 else ""
