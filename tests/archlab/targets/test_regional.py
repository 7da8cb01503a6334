"""Two regions under a real supervisord, with real Postgres servers and lines; small servers stand for the models'."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from archlab import identity
from archlab.errors import ConflictError, NotFoundError, UserError
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.recovery import archive, fencing
from archlab.recovery.server import Server
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.plan import Plan, ReplicaState, Role, Unit
from archlab.spec.regions import PostureChange, RegionsOverride, RegionState, Standby, Tier
from archlab.spec.scenario import Overrides
from archlab.targets import base_backups, places, processes
from archlab.targets.commands import Command, LocalCommands
from archlab.targets.local import LocalTarget
from archlab.targets.region_files import return_to_start
from archlab.targets.regional import RegionPair
from recovery_pair import programs_or_skip

if TYPE_CHECKING:
    from tests.archlab.targets.conftest import SmallCommands

pytestmark = pytest.mark.slow
EAST, WEST = "east", "west"


@dataclass
class Regions:
    """One lab's regions; the registry is left out, its database is asked itself."""

    folder: LabFolder
    target: LocalTarget
    small: SmallCommands
    posture: Standby
    keep: int = 7
    said: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        tiers = dict.fromkeys(Tier, PostureChange(posture=self.posture, backup_every_s=1, backup_keep=self.keep))
        scenario = load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml")
        wanted = Overrides(regions=RegionsOverride(tiers=tiers))
        made = layout("lab", scenario, 1, wanted, regions=places.state(self.folder))
        return made.model_copy(update={"units": tuple(u for u in made.units if u.role is not Role.REGISTRY)})

    def command(self, unit: Unit, index: int) -> Command:
        pair = self.plan().regions
        assert pair
        own = LocalCommands(self.folder, self.target.port, places.places(self.folder, pair, self.target.port))
        if unit.role in (Role.DATABASE, Role.LINK, Role.STORE):
            return own(unit, index)
        return own._within(unit, self.small(unit, index))

    def apply(self) -> RegionPair:
        self.target.apply(self.plan(), lambda step, detail: self.said.append(f"{step} {detail}"))
        return self.pair

    @property
    def pair(self) -> RegionPair:
        return self.target.regions(self.plan())

    def server(self, region: str) -> Server:
        return self.pair.places[region].server

    def write(self, region: str, *numbers: int) -> None:
        self.server(region).ask("CREATE TABLE IF NOT EXISTS written (number int)")
        for number in numbers:
            self.server(region).ask("INSERT INTO written VALUES (:number)", number=number)

    def written(self, region: str) -> list[int]:
        return [row[0] for row in self.server(region).ask("SELECT number FROM written ORDER BY 1")]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[Standby], Regions]]:
    from tests.archlab.targets.conftest import SmallCommands, unused_port

    programs_or_skip()
    folder = LabFolder(tmp_path / "lab")
    folder.root.mkdir(mode=0o700)
    identity.create_keys(folder)
    targets: list[LocalTarget] = []

    def make(posture: Standby) -> Regions:
        target = LocalTarget(folder, unused_port())
        found = Regions(folder, target, SmallCommands(folder), posture)
        target._commands = found.command
        targets.append(target)
        return found

    yield make
    for target in targets:
        target.destroy()
    shutil.rmtree(folder.run, ignore_errors=True)
    assert [p.name() for p in processes.marked(folder.root, jobs=True)] == []


def test_a_region_is_lost_replaced_and_comes_back_with_everything(made: Callable[[Standby], Regions]) -> None:
    regions = made(Standby.WARM_STANDBY)
    pair = regions.apply()
    assert pair.state == RegionState(primary=EAST, synchronous=True)
    regions.write(EAST, 1, 2)
    assert "every acknowledged write" in pair.assess(accept_data_loss=False)

    pair.cut(cut=True)
    regions.apply()
    assert {s.link for s in pair.standing()} == {"cut"}, "an apply does not mend it"
    assert any("replication stays as it is" in said for said in regions.said)
    pair.cut(cut=False)
    assert {s.link for s in pair.standing()} == {"up"}

    hung = regions.server(EAST).pid
    assert hung
    fencing.send(fencing.tree([hung]), signal.SIGSTOP)
    pair.kill(EAST, "its power failed")
    assert regions.server(EAST).pid is None, "what hangs dies too: it must not wake up as a second primary"
    seen = {r.state for r in regions.target.observe().replicas if r.region == EAST}
    assert seen <= {ReplicaState.STOPPED, ReplicaState.FAILED}, "supervisord does not bring it back"
    with pytest.raises(ConflictError, match="its power failed"):
        fencing.refuse_if_fenced(pair.places[EAST].folder)
    with pytest.raises(ConflictError, match="its power failed") as dead:
        regions.apply()
    assert "archlab dr failover" in dead.value.remedy, "nobody decided yet what becomes of it"
    assert "promoted" in pair.promote(WEST)
    pair = regions.apply()
    assert {r.region for r in regions.target.observe().replicas} == {"", WEST}
    assert pair.state == RegionState(primary=WEST, lost=(EAST,))
    regions.write(WEST, 3)

    assert pair.rejoin(EAST) in ("east: rewound", "east: cloned")
    pair = regions.apply()
    found = {s.region: s for s in pair.standing()}
    assert (found[EAST].database, found[WEST].database) == ("standby", "primary")
    follower = found[EAST].follower
    assert follower is not None
    assert follower.synchronous

    pair.hand_over(EAST)
    pair = regions.apply()
    assert pair.state == RegionState(primary=EAST, synchronous=True)
    regions.write(EAST, 4)
    assert regions.written(EAST) == [1, 2, 3, 4]
    assert regions.written(WEST) == [1, 2, 3, 4], "whoever reads there finds it: writes waited for it"


def test_backup_only_is_restored_from_the_archive_if_loss_is_accepted(made: Callable[[Standby], Regions]) -> None:
    regions = made(Standby.BACKUP_ONLY)
    pair = regions.apply()
    assert {s.region: s.database for s in pair.standing()} == {EAST: "primary", WEST: "none"}
    regions.write(EAST, *range(20))
    archived = places.archive(regions.folder)
    ((piece,),) = regions.server(EAST).ask("SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + 120
    while not (archived / str(piece)).exists():
        assert time.monotonic() < deadline, "the log is archived"
        time.sleep(0.1)
    with pytest.raises(ConflictError, match="the archive is up to 1 s behind"):
        pair.assess(accept_data_loss=False)
    assert "accepted" in pair.assess(accept_data_loss=True)
    pair.kill(EAST, "its power failed")
    assert "restored" in pair.promote(WEST)
    regions.apply()
    assert regions.written(WEST) == list(range(20))


def test_so_many_backups_are_kept_as_the_posture_says_and_the_newest_restores(
    made: Callable[[Standby], Regions],
) -> None:
    regions = made(Standby.BACKUP_ONLY)
    regions.keep = 2
    pair = regions.apply()
    (first,) = base_backups.store(regions.folder).all()
    for number in range(3):
        regions.write(EAST, number)
        said = pair.back_up()
    kept = base_backups.store(regions.folder).all()
    assert len(kept) == 2
    assert first not in kept
    assert "of east is taken; deleted backup-" in said
    needed = kept[0].needs
    pieces = [p.name for p in places.archive(regions.folder).iterdir() if len(p.name) == 24]
    assert all(name[8:] >= needed[8:] for name in pieces), "nor is the log kept that only they needed"
    regions.keep = 1
    regions.apply()
    assert base_backups.store(regions.folder).all() == kept[1:], "who wants fewer has fewer at once"
    pair.kill(EAST, "its power failed")
    pair.promote(WEST)
    regions.apply()
    assert regions.written(WEST) == [0, 1, 2]


def test_nothing_of_a_backup_can_be_read_without_the_key_and_a_damaged_one_is_passed_over(
    made: Callable[[Standby], Regions],
) -> None:
    regions = made(Standby.BACKUP_ONLY)
    pair = regions.apply()
    server = regions.server(EAST)
    server.ask("CREATE TABLE secrets AS SELECT repeat('personal data ', 40) AS held FROM generate_series(1, 500)")
    pair.back_up()
    backups = places.backups(regions.folder)
    assert any(b"personal data" in p.read_bytes() for p in server.data.rglob("*") if p.is_file())
    assert not any(b"personal data" in p.read_bytes() for p in backups.rglob("*") if p.is_file())
    assert {p.suffix for p in backups.iterdir()} == {".json", ".sealed"}, "no copy is left as it was"
    newest = base_backups.store(regions.folder).sealed(base_backups.store(regions.folder).one().name)
    newest.write_bytes(newest.read_bytes()[:-1])
    server.ask("INSERT INTO secrets VALUES ('later')")
    archive.archive_now(server, places.archive(regions.folder))
    pair.kill(EAST, "its power failed")
    pair.promote(WEST)
    regions.apply()
    assert regions.server(WEST).ask("SELECT count(*) FROM secrets") == [[501]], "the one before, and the log since"

    for path in backups.glob("*.sealed"):
        path.write_bytes(b"")
    pair.kill(WEST, "its power failed")
    with pytest.raises(NotFoundError, match="has 0 of"):
        base_backups.restore(regions.folder, regions.server(WEST), {})


def test_whoever_comes_back_to_backups_does_not_restore_over_a_gap_in_the_log(
    made: Callable[[Standby], Regions],
) -> None:
    regions = made(Standby.BACKUP_ONLY)
    regions.apply()
    regions.write(EAST, 1)
    regions.posture = Standby.PILOT_LIGHT
    regions.apply()
    regions.write(EAST, 2)
    regions.server(EAST).ask("SELECT pg_switch_wal()")  # archived by nobody
    regions.posture = Standby.BACKUP_ONLY
    pair = regions.apply()
    regions.write(EAST, 3)
    archive.archive_now(regions.server(EAST), places.archive(regions.folder))
    pair.kill(EAST, "its power failed")
    pair.promote(WEST)
    regions.apply()
    assert regions.written(WEST) == [1, 2, 3]


def test_where_the_other_region_has_a_copy_nothing_is_backed_up(made: Callable[[Standby], Regions]) -> None:
    pair = made(Standby.PILOT_LIGHT).apply()
    with pytest.raises(UserError, match="pilot-light") as refused:
        pair.back_up()
    assert "backup-only" in refused.value.remedy


def test_failback_of_backup_only_takes_what_was_written_since_along(made: Callable[[Standby], Regions]) -> None:
    regions = made(Standby.BACKUP_ONLY)
    pair = regions.apply()
    regions.write(EAST, 1)
    pair.kill(EAST, "its power failed")
    pair.promote(WEST)
    pair = regions.apply()
    regions.server(WEST).ask("CREATE TABLE IF NOT EXISTS written (number int)")
    before = regions.written(WEST)
    regions.write(WEST, 2, 3)

    pair.rejoin(EAST)
    places.remember(regions.folder, pair.state.model_copy(update={"raised": EAST}))
    pair = regions.apply()
    assert {s.region: s.database for s in pair.standing()} == {EAST: "standby", WEST: "primary"}
    regions.write(WEST, 4)
    pair.hand_over(EAST)
    pair = regions.apply()
    assert regions.written(EAST) == [*before, 2, 3, 4], "not what it had before it was lost"
    assert {s.region: s.database for s in pair.standing()} == {EAST: "primary", WEST: "none"}
    assert base_backups.store(regions.folder).one().of == EAST, "the next failover begins with what east has now"


def test_a_promotion_kills_a_primary_that_somebody_revived_meanwhile(made: Callable[[Standby], Regions]) -> None:
    regions = made(Standby.PILOT_LIGHT)
    pair = regions.apply()
    pair.kill(EAST, "west takes over from it")
    pair.revive(EAST)
    pair = regions.apply()
    assert regions.server(EAST).is_primary
    pair.promote(WEST)
    assert regions.server(EAST).pid is None
    assert regions.server(WEST).is_primary

    pair.revive(EAST)
    started = [sys.executable, "-m", "archlab.recovery.starting", str(pair.places[EAST].folder)]
    refused = subprocess.run(started, capture_output=True, text=True, timeout=30, check=False)
    assert refused.returncode == 1, "whatever lowered the fence: its data is a primary's"
    assert "east was primary itself, and west is now" in refused.stderr


def test_a_lab_returns_to_its_start(made: Callable[[Standby], Regions]) -> None:
    regions = made(Standby.PILOT_LIGHT)
    pair = regions.apply()
    regions.write(EAST, 1)
    pair.keep_start()
    regions.write(EAST, 2)
    pair.kill(EAST, "its power failed")
    pair.promote(WEST)
    regions.target.destroy()
    return_to_start(regions.folder)
    regions.apply()
    assert regions.written(EAST) == [1]
    assert regions.written(WEST) == [1], "a copy of the first region's"


def test_in_one_place_there_are_no_regions(tmp_path: Path) -> None:
    target = LocalTarget(LabFolder(tmp_path), 9)
    with pytest.raises(UserError, match="one place"):
        target.regions(Plan(lab="l", scenario="s", seed=1, units=(), routes=(), reservations=()))
