"""Where the parts of a lab's regions are on this machine: folders, ports, sockets. The ports are chosen once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from archlab.errors import ConflictError
from archlab.files import write_model
from archlab.recovery import fencing, replication
from archlab.recovery.archive import archiving
from archlab.recovery.copying.description import PLACE
from archlab.recovery.server import Server, Upstream, create_password
from archlab.recovery.starting import DESCRIPTION, Description
from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.plan import Role
from archlab.spec.regions import RegionsPlan, RegionState, Standby
from archlab.targets import ports

APART = 10_000
"""So far from the gateway's port ports are looked for, that labs whose gateways are neighbours don't meet."""
OUTSIDE = ("archive", "backups", "files-archive", "spool")
JOURNALS = ("done", "faults", "probes")
"""Runbooks that were carried out, faults that were injected, what was tried."""
KEPT_BY_NOBODY = {"archive_mode": "on", "archive_command": "true"}
"""A server that has a standby archives nothing; switching it on later needs no restart."""


class Ports(Spec):
    """By region."""

    database: dict[str, int]
    link: dict[str, int]
    """Where the region's database finds the other one's."""
    store: dict[str, int] = {}
    """Where the region's files are handed out."""
    line: dict[str, int] = {}
    """Where the region's store finds the other one's."""


@dataclass(frozen=True, slots=True)
class Place(replication.Site):
    """One region on this machine."""

    store: int
    """Port of its store of files."""
    line: int
    """Port on which its store finds the other one's, over the same link."""
    told: Path
    """Socket of its store."""

    @property
    def files(self) -> Path:
        """What its servers load, and the registry's files of versions."""
        return self.folder / PLACE

    @property
    def socket(self) -> Path:
        """Its database's."""
        return self.server.sockets / f".s.PGSQL.{self.server.port}"

    @property
    def database(self) -> str:
        """`folder of its socket:port`."""
        return f"{self.server.sockets}:{self.server.port}"


def root(folder: LabFolder) -> Path:
    """What regions keep: a folder for each, the archive outside both, and where the pair stands."""
    return folder.regions


def archive(folder: LabFolder) -> Path:
    """The database's log, where a posture has it archived; outside both regions."""
    return root(folder) / OUTSIDE[0]


def backups(folder: LabFolder) -> Path:
    """Base backups beside it."""
    return root(folder) / OUTSIDE[1]


def file_archive(folder: LabFolder) -> Path:
    """Files of parts that have no second copy, encrypted; outside both regions too."""
    return root(folder) / OUTSIDE[2]


def key(folder: LabFolder) -> Path:
    """What opens backups and archives of files; outside both regions as they are."""
    return root(folder) / "files.key"


def spool(folder: LabFolder) -> Path:
    """What control and jobs write while no region takes it."""
    return root(folder) / OUTSIDE[3]


def start(folder: LabFolder) -> Path:
    """The database as it was at the scenario's start."""
    return folder.root / "start-database"


def state(folder: LabFolder) -> RegionState | None:
    """Where the pair stands; None before anything ran."""
    try:
        return RegionState.model_validate_json(_state(folder).read_bytes())
    except FileNotFoundError:
        return None


def remember(folder: LabFolder, now: RegionState) -> None:
    """Keep where the pair stands."""
    root(folder).mkdir(mode=0o700, exist_ok=True)
    write_model(_state(folder), now)


def places(folder: LabFolder, pair: RegionsPlan, port: int) -> Mapping[str, Place]:
    """Every region.

    Args:
        folder: the lab's.
        pair: its regions.
        port: of its gateway; the regions' are looked for well apart.

    Raises:
        UserError: there are no programs of Postgres here.
        ConflictError: too few ports are free.
    """
    from archlab.recovery.programs import postgres_programs

    known, programs = _ports(folder, pair, port), postgres_programs()
    backed = pair.database is Standby.BACKUP_ONLY
    settings = {"archive_mode": "on", **archiving(archive(folder), pair.archive_every_s)} if backed else KEPT_BY_NOBODY
    found = {}
    for name in pair.names:
        own = root(folder) / name
        made = Server(name, own, folder.run, known.database[name], password(folder), programs, settings)
        upstream = Upstream(known.link[name], replication.slot_name(name))
        control, told = (folder.socket(f"{role.value}-{name}-0") for role in (Role.LINK, Role.STORE))
        found[name] = Place(made, upstream, control, known.store[name], known.line[name], told)
    return found


def prepare(folder: LabFolder, pair: RegionsPlan, found: Mapping[str, Place]) -> None:
    """What the regions' processes are started from."""
    create_password(password(folder))
    for path in (archive(folder), backups(folder)):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, place in found.items():
        other = next(p for p in found.values() if p.name != name)
        place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = folder.log / f"{Role.DATABASE.value}-{name}-0.log"
        if not place.server.log.is_symlink():
            place.server.log.symlink_to(log)
        write_model(
            place.folder / DESCRIPTION,
            Description(
                name=name,
                sockets=place.server.sockets,
                port=place.server.port,
                password=place.server.password,
                settings=dict(place.server.settings),
                upstream_port=place.upstream.port,
                other=other.name,
                other_port=other.server.port,
                follows=name != pair.primary,
                start=start(folder),
                state=_state(folder),
            ),
        )


def _state(folder: LabFolder) -> Path:
    return root(folder) / "state.json"


def refuse_dead(folder: LabFolder, pair: RegionsPlan | None) -> None:
    """Let a plan pass whose regions may all run.

    Raises:
        ConflictError: in one of them nothing starts, and nobody has decided what becomes of it.
    """
    for name in pair.names if pair else ():
        fence = root(folder) / name / fencing.FILE
        if pair and name not in pair.lost and fence.exists():
            way = "archlab dr failover" if name == pair.primary else f"archlab dr isolate {name}"
            raise ConflictError(
                f"Region {name} is down: {fence.read_text().strip()}.",
                f"Do without it: {way}. Or bring it back: archlab dr revive {name}",
            )


def password(folder: LabFolder) -> Path:
    """What lets one region's database and store ask the other's."""
    return root(folder) / "password"


def _ports(folder: LabFolder, pair: RegionsPlan, port: int) -> Ports:
    path = root(folder) / "ports.json"
    try:
        known = Ports.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        known = Ports(database={}, link={})
    if set(pair.names) <= known.store.keys():
        return known
    taken = [number for kind in known.model_dump().values() for number in kind.values()]
    last = max(taken, default=port + APART * (1 if port < 50_000 else -1) - 1)
    chosen = known.model_dump()
    for kind, numbers in chosen.items():
        for name in pair.names:
            if name not in numbers:
                chosen[kind][name] = last = ports.free_port(last + 1)
    made = Ports.model_validate(chosen)
    root(folder).mkdir(mode=0o700, exist_ok=True)
    write_model(path, made)
    return made
