"""What befell a lab's regions, written down: faults that were injected, and what was tried. `reset` forgets it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.spec.base import Spec
from archlab.spec.region_facts import RegionFault, RegionProbe
from archlab.spec.regions import RegionState
from archlab.targets import places

S = TypeVar("S", bound=Spec)
FAULTS, PROBES = places.JOURNALS[1:]


def note_fault(lab: Lab, what: Literal["kill", "cut"], region: str | None = None) -> None:
    """Keep that something is broken, and when; called just before it is."""
    pair = lab.scenario.regions
    if pair is None:
        return
    at = datetime.now(UTC)
    primary = (places.state(lab.folder) or RegionState(primary=pair.names[0])).primary
    keep(_folder(lab, FAULTS), at, RegionFault(what=what, region=region, at=at, posture=pair, primary=primary))


def note_probe(lab: Lab, probe: RegionProbe) -> None:
    """Keep what was tried."""
    keep(_folder(lab, PROBES), probe.at, probe)


def faults(lab: Lab) -> tuple[RegionFault, ...]:
    """Oldest first."""
    return _all(_folder(lab, FAULTS), RegionFault)


def probes(lab: Lab) -> tuple[RegionProbe, ...]:
    """Oldest first."""
    return _all(_folder(lab, PROBES), RegionProbe)


def keep(folder: Path, at: datetime, entry: Spec) -> None:
    """One entry of a journal, under its moment."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_model(folder / f"{at:%Y%m%dT%H%M%S%f}.json", entry)


def _folder(lab: Lab, name: str) -> Path:
    return places.root(lab.folder) / name


def _all(folder: Path, kind: type[S]) -> tuple[S, ...]:
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(kind.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return tuple(found)
