"""What a lab's regions show of themselves, and what was done to them, as evidence."""

from __future__ import annotations

from pydantic import ValidationError

from archlab.lab import region_journal, regional
from archlab.lab.lab import Lab
from archlab.spec.drill import DrillReport
from archlab.spec.region_facts import DrillSeen, RegionFacts, RegionSeen

REPORTS = "drills/*/report.json"
"""Where `archlab drill run` leaves its reports, beside the labs."""


def facts(lab: Lab) -> RegionFacts | None:
    """None of a lab that runs in one place."""
    if lab.scenario.regions is None:
        return None
    return RegionFacts(
        state=regional.state(lab),
        regions=_seen(lab),
        faults=region_journal.faults(lab),
        runbooks=tuple(regional.takeovers(lab)),
        probes=region_journal.probes(lab),
        drills=drills(lab),
    )


def drills(lab: Lab) -> tuple[DrillSeen, ...]:
    """Drills that began since the lab was made, oldest first; damaged reports count as not run."""
    found = []
    for path in lab.folder.root.parent.glob(REPORTS):
        try:
            report = DrillReport.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if report.began >= lab.identity.created:
            found.append(DrillSeen.of(report))
    return tuple(sorted(found, key=lambda one: one.began))


def _seen(lab: Lab) -> tuple[RegionSeen, ...]:
    return tuple(
        RegionSeen.model_validate(
            {
                "region": one.region,
                "database": one.database,
                "synchronous": bool(one.follower and one.follower.synchronous),
                "line": one.link,
                "fenced": one.fenced,
            }
        )
        for one in regional.pair(lab).standing()
    )
