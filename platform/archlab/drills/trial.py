"""Puts designs of a pair of regions through a drill that nobody was told: each on a testbed, prepared as its registry.

A drill measures what is written: detection, promotion, acknowledged writes lost. Nobody sits beside it, so it promotes
at once where people would have to decide, and what they take is added by whoever reads it. A registry that has nothing
in the second region has nothing to drill: what comes of it stays modelled. One run stands for all designs with the same
preparation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic

from pydantic import ValidationError

from archlab import __version__
from archlab.drills.run import run
from archlab.errors import ArchlabError, UserError
from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.plan.resolve import override
from archlab.spec.drill import Posture, Recovery, Verdict
from archlab.spec.experiments import DesignRun, DesignTrial
from archlab.spec.plan import Progress
from archlab.spec.region_facts import DrillSeen
from archlab.spec.regions import Part, Promotion, Regions, Standby
from archlab.spec.scenario import Overrides

HIDDEN = ("kill-region", "hang-region", "partition-then-kill")
"""Of these one is drawn."""

TRIES = 3
"""A drill that was void says nothing, and is run again."""

Design = tuple[str, Overrides]


def check(lab: Lab, design: Overrides) -> None:
    """Whether a design can be drilled; nothing is measured.

    Raises:
        UserError: the lab has no regions, or the design changes something else, or names what there is not.
    """
    if lab.declared.regions is None:
        raise UserError(
            f"Lab {lab.name} runs in one place: no region of it can be lost.", "See: archlab scenarios list"
        )
    if other := sorted(design.model_dump(exclude_defaults=True, exclude={"regions"})):
        raise UserError(f"A design of regions changes regions only, and this one {other[0]} too.", "Leave that out.")
    override(lab.resolved, design)


def hidden_drill(question: str, seed: int) -> str:
    """The same for a question and a seed."""
    return min(HIDDEN, key=lambda name: hashlib.sha256(f"{question}/{seed}/{name}".encode()).digest())


def trial(
    lab: Lab, question: str, submitted: Overrides, reference: Design, naive: Sequence[Design], progress: Progress
) -> DesignTrial:
    """Drill all designs; what the cache knows is not drilled again.

    Raises:
        UserError: Postgres or the drills' libraries are not installed.
        ConflictError: another drill runs.
        TargetError: the testbed does not come up.
        ArchlabError: the drill said nothing, several times over.
    """
    drill = hidden_drill(question, lab.identity.seed)
    others = tuple(_drilled(lab, drill, *design, progress) for design in naive)
    known = _drilled(lab, drill, *reference, progress)
    own = _drilled(lab, drill, "submitted", submitted, progress)
    return DesignTrial(question=question, submitted=own, reference=known, naive=others)


def prepared(regions: Regions) -> Posture | None:
    """How a testbed is prepared as a pair's registry is; None where the second region holds nothing of it."""
    tier = regions.of(Part.REGISTRY)
    if tier.posture is Standby.BACKUP_ONLY:
        return None
    return Posture(
        replication=tier.replication,
        recovery=Recovery.AUTOMATIC,
        latency_ms=regions.latency_ms,
        bytes_per_s=regions.bytes_per_s,
        check_every_ms=tier.check_every_ms,
        failures_to_detect=tier.failures_to_detect,
        # people who decide may accept a loss, a machine may not
        accept_data_loss=tier.promotion is Promotion.MANUAL,
    )


def _drilled(lab: Lab, drill: str, name: str, design: Overrides, progress: Progress) -> DesignRun:
    began, regions = monotonic(), override(lab.resolved, design).regions
    assert regions is not None
    posture = prepared(regions)
    key = hashlib.sha256(f"{__version__}/{drill}/{posture and posture.model_dump_json()}".encode()).hexdigest()
    seen = () if posture is None else (_seen(lab, drill, key, posture, progress),)
    return DesignRun(
        name=name,
        digest=key,
        overrides=design,
        days=(),
        regions=regions,
        drills=seen,
        taken=datetime.now(UTC),
        seconds=round(monotonic() - began, 1),
    )


def _seen(lab: Lab, drill: str, key: str, posture: Posture, progress: Progress) -> DrillSeen:
    path = lab.folder.cache / "designs" / f"{key}.json"
    try:
        return DrillSeen.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass

    def untold(step: str, _detail: str) -> None:
        progress("hidden drill", step)

    for _ in range(TRIES):
        _, report = run(drill, posture, untold)
        if report.verdict is not Verdict.VOID and report.measured is not None:
            made = DrillSeen.of(report)
            write_model(path, made)
            return made
    raise ArchlabError(
        f"The drill said nothing, {TRIES} times: {'; '.join(report.reasons)}", "Try again when less else runs here."
    )
