"""Whose files control and jobs write: the primary's, by links in the lab's folder; a spool while no region takes them.

Control stands outside both regions, and the files that it publishes lie in one. When that is lost, what is written goes
into the spool, and from there to whoever takes over. Nothing else of a lost region can be reached.
"""

from __future__ import annotations

import http.client
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from archlab.errors import UnavailableError
from archlab.files import write_model
from archlab.recovery import fencing
from archlab.recovery.copying import arrivals, description, exporting, following, standing
from archlab.recovery.copying.archiving import Archive
from archlab.recovery.copying.catalogue import REGISTRY, RELEASES, SNAPSHOTS, Catalogue
from archlab.recovery.copying.description import DESCRIPTION, SEEN, STATE, Description
from archlab.settings import LabFolder
from archlab.spec.regions import Copying, Part, PartCopy, RegionsPlan
from archlab.targets import places
from archlab.targets.places import Place
from archlab.unixhttp import UnixConnection, ask

COPY_S = 120.0
MOUNTS = (REGISTRY, RELEASES, SNAPSHOTS)
"""Folders of the lab that lie in a region."""
ORDERS = (f"{RELEASES}/{arrivals.FEED}", f"{SNAPSHOTS}/{arrivals.MANIFEST}")
"""What control tells servers; it reaches every region."""


def prepare(folder: LabFolder, pair: RegionsPlan, found: Mapping[str, Place]) -> None:
    """What the stores are started from, and the links to the primary's files."""
    describe(folder, pair, found, pair.primary)
    primary = found[pair.primary]
    if not (primary.folder / fencing.FILE).exists():
        deliver(folder, primary)


def describe(folder: LabFolder, pair: RegionsPlan, found: Mapping[str, Place], primary: str) -> None:
    """Tell the stores which region is primary, and how each part is copied."""
    known = places.state(folder)
    for name, place in found.items():
        for mount in MOUNTS:
            (place.files / mount).mkdir(mode=0o700, parents=True, exist_ok=True)
        write_model(
            place.folder / DESCRIPTION,
            Description(
                region=name,
                other=next(other for other in found if other != name),
                primary=name == primary,
                raised=known is not None and known.raised == name,
                port=place.store,
                line=place.line,
                password=places.password(folder),
                socket=place.told,
                orders=_orders(folder),
                database=folder.control_db,
                bundle=folder.bundle,
                archive=places.file_archive(folder),
                key=places.key(folder),
                copies=pair.copies,
            ),
        )


def set_aside(folder: LabFolder) -> None:
    """From now on what is written goes into the spool: the region that took it is lost. Twice is harmless."""
    spool = places.spool(folder)
    if all((folder.root / name).resolve() == (spool / name).resolve() for name in MOUNTS):
        return
    for name in MOUNTS:
        (spool / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for order in ORDERS:
        with suppress(FileNotFoundError):
            shutil.copy2(folder.root / order, spool / order)
    _mount(folder, spool)


def deliver(folder: LabFolder, place: Place) -> None:
    """A region takes what is written from now on, and what the spool has. Twice is harmless."""
    spool = places.spool(folder)
    if spool.exists():
        arrivals.obey(place.files, (spool / RELEASES, spool / SNAPSHOTS))
    _mount(folder, place.files)
    if spool.exists():
        _move(spool, place.files, ORDERS)
        arrivals.obey(place.files, (spool / RELEASES, spool / SNAPSHOTS))
        shutil.rmtree(spool)


def copy_now(place: Place, part: Part) -> PartCopy:
    """Have a region's store take a part from the other region.

    Raises:
        UnavailableError: it does not answer, or says why it could not.
    """
    try:
        status, body = ask(UnixConnection(place.told, COPY_S), "POST", f"/copy/{part.value}")
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            f"The store of {place.name} does not answer: {error}.", "See: archlab dr status"
        ) from None
    if status != http.HTTPStatus.OK:
        raise UnavailableError(
            f"{place.name} could not take the {part.value}: {body.decode(errors='replace') or status}",
            "Nothing was lost; what came stays. See: archlab dr status",
        )
    return PartCopy.model_validate_json(body)


def restore(folder: LabFolder, pair: RegionsPlan, place: Place) -> str:
    """Put archives of parts that have no second copy into a region that is primary by now; says what came of it."""
    parts = [copying.part for copying in pair.copies if copying.archived]
    for part in parts:
        with suppress(UnavailableError):
            copy_now(place, part)  # it refuses; from then on it gives up no file that nobody keeps up to date
    said = [Archive(places.file_archive(folder), places.key(folder), part).restore(place.files) for part in parts]
    for part in parts:
        # the region that was lost had all of it: what is deleted from now on has to go there too when it is back
        following.remember(following.seen_of(place.folder / SEEN, part), Catalogue(place.files).listing(part))
    return "; ".join(said)


def lacking(folder: LabFolder, pair: RegionsPlan, found: Mapping[str, Place], taking: str) -> list[str]:
    """What would be missing of files if a region took over now, as parts of a sentence."""
    other = next(place for name, place in found.items() if name != taking)
    known = standing.losses(pair.copies, description.state(found[taking].folder), description.state(other.folder))
    archived = {copying.part for copying in pair.copies if copying.archived}
    left = [] if archived & set(standing.NEEDED) else unserved(folder, found[taking])
    return [*known, *(f"{one.model} version {one.version} would not be served, {one.why}" for one in left)]


def told(folder: LabFolder, pair: RegionsPlan, taking: Place) -> list[str]:
    """What a region has older than it is, and what would be lost were control gone too; nobody is refused for it."""
    said = list(standing.ages(pair.copies, description.state(taking.folder)))
    said += [f"features are older there: {view}" for view in standing.older_views(taking.files, _orders(folder))]
    try:
        behind = {copying.part: records_behind(folder, pair, taking, copying) for copying in pair.copies}
    except UnavailableError:
        return [*said, "how many records control has nobody can say"]
    lost = ((part.value, count) for part, count in behind.items() if count)
    return [*said, *(f"were control gone too, {count} records of the {part} would be lost" for part, count in lost)]


def records_behind(folder: LabFolder, pair: RegionsPlan, place: Place, copying: Copying) -> int:
    """Records of a part that control has and a region, or the archive where there is nothing else, has not.

    Raises:
        UnavailableError: control's database can't be read.
    """
    if copying.part not in exporting.TABLES:
        return 0
    kept = description.state(place.folder).of(copying.part).records
    if copying.archived:
        folders = [places.root(folder) / name for name in pair.names]
        kept = max(description.state(f).of(copying.part, archived=True).records for f in folders)
    return max(0, exporting.count(folder.control_db, copying.part) - kept)


def unserved(folder: LabFolder, place: Place) -> tuple[standing.Unserved, ...]:
    """Released versions that a region can't answer with."""
    return standing.unserved(place.files, _orders(folder))


def forget(folder: LabFolder) -> None:
    """Take the links away and what the regions have: the lab's start is put into its folder next."""
    for name in MOUNTS:
        path = folder.root / name
        if path.is_symlink():
            path.unlink()


def return_to_start(folder: LabFolder) -> None:
    """Forget what the regions have: the first one starts from what was kept, the other one is copied from it.

    Everything must be stopped. Harmless in a lab without regions.
    """
    for path in places.root(folder).glob("*"):
        if path.name in ("state.json", "charged.json", *places.OUTSIDE, *places.JOURNALS) or path.suffix == ".runbook":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif path.is_dir():
            shutil.rmtree(path / "data", ignore_errors=True)
            clear(path)
            fencing.lower_fence(path)


def clear(region: Path) -> None:
    """Forget what a region has of files."""
    for name in ("files", SEEN):
        shutil.rmtree(region / name, ignore_errors=True)
    (region / STATE).unlink(missing_ok=True)


def _orders(folder: LabFolder) -> tuple[Path, Path]:
    return folder.releases, folder.snapshots


def _mount(folder: LabFolder, files: Path) -> None:
    for name in MOUNTS:
        link, target = folder.root / name, files / name
        if link.is_dir() and not link.is_symlink():
            # a new lab's, or one that was put back to its start
            _move(link, target, ())
            shutil.rmtree(link)
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = link.with_name(f".{name}.link")
        part.unlink(missing_ok=True)
        part.symlink_to(target.relative_to(folder.root))
        part.replace(link)


def _move(source: Path, target: Path, without: tuple[str, ...]) -> None:
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        name = path.relative_to(source)
        if name.as_posix() not in without:
            (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(target / name)
