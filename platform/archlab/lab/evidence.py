"""A picture of a running lab, taken once and never changed: what grading reads."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from archlab import __version__
from archlab.errors import UnavailableError
from archlab.lab import records, region_facts, tampering
from archlab.lab.facts import all_versions
from archlab.lab.lab import Lab
from archlab.lab.promotion import CHALLENGER
from archlab.lab.work import clock
from archlab.spec.airline import Scoreboard
from archlab.spec.comparison import Comparison
from archlab.spec.grading import BatchRun, Evidence, VersionFacts
from archlab.spec.money import Line
from archlab.spec.outages import Outage
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import Release, ReleaseFeed


def collect(lab: Lab) -> Evidence:
    """Ask control and the registry for everything that questions are judged by."""
    control = lab.control
    scenario = lab.scenario
    versions = _versions(lab)
    return Evidence(
        lab=lab.name,
        taken=datetime.now(UTC),
        code_version=__version__,
        scenario=scenario,
        variant=lab.variant,
        overrides=lab.overrides,
        plan=lab.plan,
        prices=scenario.prices,
        clock=clock(lab),
        scoreboard=Scoreboard.model_validate(control.get("/score")),
        daily=tuple(Scoreboard.model_validate(day) for day in control.get("/score/daily")),
        lines=tuple(Line.model_validate(line) for line in control.get("/lines?by=day")),
        versions=versions,
        releases=_releases(control.get("/releases")),
        decisions=tuple(DecisionRecord.model_validate(record) for record in control.get("/decisions")),
        batch_runs=tuple(BatchRun.model_validate(run) for run in control.get("/batch-runs")),
        comparisons=_comparisons(lab, versions),
        outages=_outages(lab),
        sweeps=records.sweeps(lab),
        calibration=records.calibration(),
        custody=tampering.custody(lab, versions),
        regions=region_facts.facts(lab),
    )


def _versions(lab: Lab) -> tuple[VersionFacts, ...]:
    """What the registry says; nothing while a region with it is down and nobody has failed over."""
    try:
        return all_versions(lab)
    except UnavailableError:
        if lab.scenario.regions is None:
            raise
        return ()


def _releases(feed: Any) -> tuple[Release, ...]:
    """What is served, without the models' signatures: servers have checked them, and they would double the evidence."""
    found = ReleaseFeed.model_validate(feed).releases
    return tuple(release.model_copy(update={"model_signature": ""}) for release in found)


def _comparisons(lab: Lab, versions: Iterable[VersionFacts]) -> tuple[Comparison, ...]:
    contested = dict.fromkeys(v.model for v in versions if CHALLENGER in v.aliases)
    return tuple(Comparison.model_validate(lab.control.get(f"/comparisons/{model}")) for model in contested)


def _outages(lab: Lab) -> tuple[Outage, ...]:
    found = (Outage.model_validate_json(f.read_bytes()) for f in lab.folder.outages.glob("*.json"))
    return tuple(sorted(found, key=lambda one: one.began))
