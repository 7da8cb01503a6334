"""What regions have of a lab's files, how far behind that is, and what nobody could answer: `archlab dr status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from archlab.errors import ArchlabError, UnavailableError
from archlab.files import file_sha256
from archlab.lab.lab import Lab
from archlab.recovery.copying import description
from archlab.recovery.copying.catalogue import REGISTRY
from archlab.recovery.copying.standing import Unserved
from archlab.registry.artifacts import MODEL_FILE
from archlab.registry.evidence import SHA256
from archlab.spec.regions import Copying, Part, PartCopy, RegionFiles, Standby
from archlab.targets import region_files

if TYPE_CHECKING:
    from archlab.targets.regional import RegionPair


@dataclass(frozen=True, slots=True)
class Kept:
    """One part as the second region, or the archive, has it."""

    part: Part
    posture: Standby
    where: str
    """The region, or `archive`."""
    copy: PartCopy
    age_s: float | None
    """How long ago it was known to be complete; None: it never was."""
    records_behind: int | None
    """Of a log: records that control has beyond it; None when control does not say."""


@dataclass(frozen=True, slots=True)
class Copies:
    """Everything about a lab's files in two regions."""

    kept: tuple[Kept, ...]
    """Empty when a region is lost: there is nothing to copy to."""
    files: Mapping[str, RegionFiles]
    """As each region's store last said."""
    unserved: Mapping[str, tuple[Unserved, ...]]
    """Released versions that a region can't answer with, by region."""
    weightless: tuple[str, ...]
    """Versions that the registry knows, and whose weights are not in the primary's region."""
    nameless: tuple[str, ...]
    """Weights in the primary's region that no version of the registry names."""

    @property
    def shortfall(self) -> tuple[str, ...]:
        """What is lacking, in sentences; empty when nothing is."""
        return (
            *(
                f"{one.model} version {one.version} is not served in {region}: {one.why}."
                for region, lacking in self.unserved.items()
                for one in lacking
            ),
            *(f"The registry knows {version}, whose weights are not in its region." for version in self.weightless),
            *(f"Weights {digest} are there, and no version of the registry names them." for digest in self.nameless),
        )


def copies(lab: Lab) -> Copies:
    """As everything is now.

    Raises:
        UserError: the lab has no regions.
    """
    held = lab.target.regions(lab.plan)
    lost, primary = held.state.lost, held.state.primary
    second = next(name for name in held.pair.names if name != primary)
    files = {name: description.state(place.folder) for name, place in held.places.items()}
    kept = [] if second in lost else [_kept(lab, held, second, copying, files) for copying in held.pair.copies]
    weightless, nameless = _weights(lab, held)
    there = {name: place for name, place in held.places.items() if name not in lost}
    return Copies(
        kept=tuple(kept),
        files=files,
        unserved={name: region_files.unserved(lab.folder, place) for name, place in there.items()},
        weightless=weightless,
        nameless=nameless,
    )


def _kept(lab: Lab, held: RegionPair, second: str, copying: Copying, files: Mapping[str, RegionFiles]) -> Kept:
    primary = next(name for name in held.pair.names if name != second)
    copy = files[primary if copying.archived else second].of(copying.part, archived=copying.archived)
    try:
        behind: int | None = region_files.records_behind(lab.folder, held.pair, held.places[second], copying)
    except UnavailableError:
        behind = None
    age = (datetime.now(UTC) - copy.complete_at).total_seconds() if copy.complete_at else None
    return Kept(copying.part, copying.posture, "archive" if copying.archived else second, copy, age, behind)


def _weights(lab: Lab, held: RegionPair) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The registry's versions against the files of versions where it runs; nothing while it does not answer."""
    try:
        found = lab.registry().get("/model-versions/search?max_results=1000").get("model_versions", [])
    except ArchlabError:
        return (), ()
    digests = {(v["name"], str(v["version"])): _digest(v) for v in found}
    place = held.places[held.state.primary].files / REGISTRY
    there = {file_sha256(path) for path in place.rglob(MODEL_FILE)}
    lacking = sorted((model, version, sha) for (model, version), sha in digests.items() if sha and sha not in there)
    nameless = sorted(there - set(digests.values()))
    return (
        tuple(f"{model} version {version} ({sha[:12]}…)" for model, version, sha in lacking),
        tuple(f"{sha[:12]}…" for sha in nameless),
    )


def _digest(version: Mapping[str, Any]) -> str:
    return next((str(tag["value"]) for tag in version.get("tags", ()) if tag["key"] == SHA256), "")
