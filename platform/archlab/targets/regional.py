"""A lab's pair of regions on this machine: kept paired as the plan says, broken, fenced, promoted, put back.

supervisord owns the processes. What takes a region down raises its fence first, so that nothing starts there again by
itself; see `archlab.recovery.starting`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from archlab.errors import ConflictError, LabStateError, TargetError, UnavailableError, UserError
from archlab.recovery import archive, fencing, link, replication, server
from archlab.recovery.assessing import assess
from archlab.recovery.replication import Follower
from archlab.recovery.shaping import Shape
from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.drill_kinds import Replication
from archlab.spec.plan import Plan, Progress
from archlab.spec.regions import FILES, Part, PartCopy, RegionsPlan, RegionState, Standby
from archlab.targets import base_backups, places, processes, region_files
from archlab.targets.places import Place
from archlab.targets.supervision import STOP_S, Supervisor
from archlab.targets.topology import Topology

STOPPED = frozenset({"STOPPED", "FATAL"})
LINK_S = 15.0
_PAUSE_S = 0.05


class Standing(Spec):
    """One region as it is right now."""

    region: str
    fenced: str = ""
    """Why nothing starts there; empty when there is no fence."""
    database: str
    """`primary`, `standby`, `down` or `none`: the posture keeps none there."""
    follower: Follower | None = None
    """As the primary sees this one."""
    link: str
    """`up`, `cut` or `down`: the line over which it finds the other one."""


@dataclass(frozen=True, slots=True)
class RegionPair:
    """The regions of a lab that is up.

    Args:
        folder: the lab's.
        pair: what its plan says of regions.
        places: where they are.
        supervisor: that owns their processes.
    """

    folder: LabFolder
    pair: RegionsPlan
    places: Mapping[str, Place]
    supervisor: Supervisor

    @property
    def state(self) -> RegionState:
        """Where the pair stands."""
        return places.state(self.folder) or RegionState(primary=self.pair.primary)

    def standing(self) -> tuple[Standing, ...]:
        """Each region as it is, asked now."""
        followers: dict[str, Follower] = {}
        with suppress(UnavailableError):
            followers = {f.name: f for f in replication.followers(self.places[self.state.primary].server)}
        return tuple(self._standing(place, followers.get(place.name)) for place in self.places.values())

    def keep_paired(self, progress: Progress) -> None:
        """Lines, replication and archive as the plan says; called when everything runs.

        Raises:
            TargetError: the other region does not follow, or a database takes no connections.
            UnavailableError: the primary's database does not answer.
        """
        cut = not self._shape()
        primary = self.places[self.pair.primary]
        server.wait_accepting(primary.server)
        if self.pair.follows:
            if cut:
                progress("pair", "the line between the regions is cut: replication stays as it is")
                return
            progress("pair", f"{self.pair.other} follows {primary.name}, {self.pair.replication.value}")
            replication.wait_streaming(primary.server, [self.pair.other])
            self._let_writes_wait(primary, on=self.pair.replication is Replication.SYNCHRONOUS)
            standby = self.places[self.pair.other].server
            server.wait_accepting(standby)
            # what it kept for the other region while it was primary itself would fill its disk
            replication.drop_slot(standby, primary.name)
            if self.pair.database is not Standby.BACKUP_ONLY:
                base_backups.forget_all(self.folder)
            return
        self._let_writes_wait(primary, on=False)
        with suppress(UnavailableError):
            replication.drop_slot(primary.server, self.pair.other)
        other = self.places[self.pair.other]
        if other.name not in self.pair.lost and other.server.pid is None:
            # what nobody keeps up to date is no standby: it is copied anew when the posture wants one again
            shutil.rmtree(other.server.data, ignore_errors=True)
        if self.pair.database is Standby.BACKUP_ONLY:
            self._back_up(primary, progress)

    def keep_start(self) -> None:
        """Keep the primary's database aside: the scenario's start. The other region has its files from the start on."""
        if self.pair.other not in self.pair.lost:
            self.copy_now(self.pair.other, [copying.part for copying in self.pair.copies if not copying.archived])
        kept = places.start(self.folder)
        shutil.rmtree(kept, ignore_errors=True)
        archive.base_backup(self.places[self.pair.primary].server, kept)

    def assess(self, *, accept_data_loss: bool) -> str:
        """Whether a promotion can lose what was acknowledged, or leave models without weights or features.

        Raises:
            ConflictError: it can, and nobody accepted it; with every reason.
            LabStateError: the other region is lost already.
        """
        taking = self.places[self.pair.other]
        if taking.name in self.state.lost:
            raise LabStateError(f"{taking.name} is lost itself: nothing can take over there.", "See: archlab dr status")
        known, lossless = self._assess_database(taking)
        lacking = region_files.lacking(self.folder, self.pair, self.places, taking.name)
        what = "; ".join(([] if lossless else [known]) + lacking)
        said = assess(taking.name, what, lossless=lossless and not lacking, accepted=accept_data_loss)
        return "; ".join((said, *region_files.told(self.folder, self.pair, taking)))

    def _assess_database(self, taking: Place) -> tuple[str, bool]:
        """What is known of the database that would be promoted, and whether it can lack nothing."""
        if self.pair.database is Standby.BACKUP_ONLY:
            return (
                f"the archive is up to {self.pair.archive_every_s} s behind, and {taking.name} has nothing else",
                False,
            )
        if not taking.server.accepting:
            raise LabStateError(f"The database of {taking.name} does not answer.", "See: archlab dr status")
        behind = replication.behind_bytes(self.places[self.state.primary].server, taking.name)
        known = "nobody can say how far it is behind" if behind is None else f"it is {behind:,} bytes behind"
        return f"replication is asynchronous, and {known}", self.state.synchronous

    def kill(self, region: str, reason: str) -> str:
        """Everything in a region dies at once, and with it what was on its lines; nothing starts there again."""
        place = self.places[region]
        if region == self.state.primary:
            region_files.set_aside(self.folder)
        self._drop_lines()
        fencing.raise_fence(place.folder, reason)
        names = self._programs([region])
        found = self.supervisor.processes()
        fencing.kill([found[n].pid for n in names if n in found and found[n].pid])
        server.kill(place.server)
        self._stand_still(names)
        return f"nothing runs in {region}, and nothing starts there"

    def revive(self, region: str) -> None:
        """Processes may start there again."""
        fencing.lower_fence(self.places[region].folder)
        if region == self.state.primary:
            region_files.deliver(self.folder, self.places[region])

    def cut(self, *, cut: bool) -> None:
        """Cut the lines between the regions, or mend them."""
        for place in self.places.values():
            shape = link.tell(place.control).shape.model_copy(update={"cut": cut})
            link.tell(place.control, link.Order(shape=shape, drop=not cut))

    def promote(self, region: str) -> str:
        """A region takes writes; the one that was lost stays behind its fence.

        Raises:
            TargetError: it is not primary in time.
            NotFoundError: it has neither a standby nor a backup.
        """
        place, lost = self.places[region], self.state.primary
        gone = (lost,) if lost != region else self.state.lost
        for name in gone:
            # a runbook that goes on after a while trusts no fence that somebody may have lowered meanwhile
            self.kill(name, f"{region} takes over from it")
        restores = self.pair.database is Standby.BACKUP_ONLY
        if restores:
            self._restore(place)
        # before the promotion: from then on the lost region's data is old, whatever becomes of this runbook. And nobody
        # follows yet: writes that waited for somebody would wait for ever
        places.remember(self.folder, RegionState(primary=region, lost=gone))
        if not restores:
            replication.promote(place.server)
            server.configure(place.server)
            server.reload(place.server)
        how = "restored from backup and archive" if restores else "promoted"
        return f"{region} is {how} and takes writes, with no standby"

    def take_files(self, region: str) -> str:
        """A region takes what is written from now on; parts without a second copy are restored from their archives."""
        place = self.places[region]
        region_files.describe(self.folder, self.pair, self.places, region)
        said = region_files.restore(self.folder, self.pair, place)
        region_files.deliver(self.folder, place)
        return f"restored: {said}" if said else f"what had arrived in {region} is there"

    def copy_now(self, region: str, parts: Iterable[Part] = FILES) -> tuple[PartCopy, ...]:
        """Have a region take now what the primary's has of these parts.

        Raises:
            UnavailableError: its store does not answer, or the primary's does not.
        """
        return tuple(region_files.copy_now(self.places[region], part) for part in parts)

    def rejoin(self, region: str) -> str:
        """A lost region's database follows the primary; what only it has is undone. Its processes may start.

        Also where only backups are kept: the first region becomes primary again, and needs all that was written since.

        Raises:
            UnavailableError: the primary does not answer.
            TargetError: it can't be made a standby.
        """
        back, primary = self.places[region], self.places[self.state.primary]
        if not primary.server.accepting:
            raise UnavailableError(f"The database of {primary.name} does not answer.", "See: archlab dr status")
        how = "follows already"
        if back.server.pid is None:
            if self.pair.database is Standby.BACKUP_ONLY and region != self.pair.names[0]:
                how = "starts empty when it is needed"
                shutil.rmtree(back.server.data, ignore_errors=True)
                fencing.lower_fence(back.folder)
            elif (back.server.data / "PG_VERSION").exists():
                how = replication.rejoin(back.server, primary.server, back.upstream)
            else:
                fencing.lower_fence(back.folder)
                how = "is copied anew"
        state = self.state
        lost = tuple(name for name in state.lost if name != region)
        places.remember(self.folder, state.model_copy(update={"lost": lost}))
        return f"{region}: {how}"

    def hand_over(self, taking: str) -> str:
        """The primary ends in order, its standby takes over with everything, and the primary follows it. Resumable.

        Raises:
            ConflictError: the standby lacks something; the primary runs again, nobody was promoted.
        """
        old, new = self.places[self.pair.primary], self.places[taking]
        if not new.server.is_primary:
            self.copy_now(taking)
            fencing.raise_fence(old.folder, f"{taking} takes over from it")
            self._hand_files_over(old, taking)
            self._stand_still(self._programs([old.name], database=True))
            now = RegionState(primary=taking)
            try:
                replication.hand_over(old.server, new.server, lambda: places.remember(self.folder, now))
            except ConflictError:
                fencing.lower_fence(old.folder)
                region_files.deliver(self.folder, old)
                self._start(self._programs([old.name], database=True))
                raise
        server.configure(new.server)
        server.reload(new.server)
        if old.server.pid is None:
            replication.rejoin(old.server, new.server, old.upstream)
        fencing.lower_fence(old.folder)
        places.remember(self.folder, RegionState(primary=taking))
        region_files.describe(self.folder, self.pair, self.places, taking)
        region_files.deliver(self.folder, new)
        return f"{taking} is primary, {old.name} follows it"

    def _hand_files_over(self, old: Place, taking: str) -> None:
        """What was written since the last copy; from now on everything goes into the spool."""
        region_files.set_aside(self.folder)
        try:
            self.copy_now(taking)
        except UnavailableError:
            fencing.lower_fence(old.folder)
            region_files.deliver(self.folder, old)
            raise

    def _standing(self, place: Place, follower: Follower | None) -> Standing:
        fence = ""
        with suppress(OSError):
            fence = (place.folder / fencing.FILE).read_text().strip()
        database = "none" if place.name == self.pair.other and not self.pair.follows else "down"
        with suppress(UnavailableError):
            database = "primary" if place.server.is_primary else "standby"
        line = "down"
        with suppress(UnavailableError):
            line = "cut" if link.tell(place.control).shape.cut else "up"
        return Standing(region=place.name, fenced=fence, database=database, follower=follower, link=line)

    def _shape(self) -> bool:
        """Lines as the plan says; one that somebody cut stays cut, and then False is returned."""
        usual, whole = Shape(latency_ms=self.pair.latency_ms, bytes_per_s=self.pair.bytes_per_s), True
        for place in self.places.values():
            if place.control.exists():
                cut = link.tell(place.control).shape.cut
                link.tell(place.control, link.Order(shape=usual.model_copy(update={"cut": cut})))
                whole = whole and not cut
        return whole

    def _drop_lines(self) -> None:
        for place in self.places.values():
            with suppress(UnavailableError):
                link.tell(place.control, link.Order(drop=True))

    def _let_writes_wait(self, primary: Place, *, on: bool) -> None:
        if self.state.synchronous != on:
            # in between nobody may rely on it
            places.remember(self.folder, self.state.model_copy(update={"synchronous": False}))
        server.configure(primary.server, synchronous=(self.pair.other,) if on else ())
        server.reload(primary.server)
        if on:
            replication.wait_streaming(primary.server, [self.pair.other], synchronous=True)
        state = self.state.model_copy(update={"synchronous": on})
        if self.state != state or places.state(self.folder) is None:
            places.remember(self.folder, state)

    def back_up(self) -> str:
        """A base backup of the primary's database now; the oldest go, as many are kept as the posture says.

        Raises:
            UserError: the other region has a copy, and nothing is archived.
            TargetError: it fails.
        """
        if self.pair.database is not Standby.BACKUP_ONLY:
            raise UserError(
                f"The registry’s tier is {self.pair.database.value}: its database is replicated, and nothing archived.",
                "Only backup-only keeps backups: archlab dr set TIER posture backup-only",
            )
        made, gone = base_backups.take(self.folder, self.places[self.state.primary].server, self.pair.backup_keep)
        deleted = f"; deleted {', '.join(gone.backups)}" if gone.backups else ""
        return (
            f"{made.name} of {made.of} is taken{deleted}; {gone.pieces} pieces of the log went, which no backup needs"
        )

    def _back_up(self, primary: Place, progress: Progress) -> None:
        """A base backup, where the newest is not of this primary; its log is archived from now on."""
        kept = base_backups.store(self.folder).all()
        if not kept or not base_backups.is_of(kept[-1], primary.name):
            progress("backup", f"the database of {primary.name}, into an archive outside both regions")
            base_backups.take(self.folder, primary.server, self.pair.backup_keep)
        else:
            base_backups.prune(self.folder, self.pair.backup_keep)

    def _restore(self, place: Place) -> None:
        """Harmless when it is done; one that was killed on the way begins anew: half an archive is not all of it."""
        if not (place.server.accepting and place.server.is_primary):
            server.kill(place.server)
            env = processes.environment(os.environ, self.folder.root, f"database-{place.name}-0")
            base_backups.restore(self.folder, place.server, env)
        server.configure(place.server)
        server.stop(place.server)  # from here on supervisord's

    def _programs(self, regions: Iterable[str], *, database: bool = False) -> list[str]:
        wanted = set(regions)
        members = Topology.read(self.folder).members
        return [m.name for m in members if m.region in wanted and (not database or m.role.value == "database")]

    def _stand_still(self, names: Iterable[str]) -> None:
        """Have supervisord start them no more, whatever it is about to do with them."""
        wanted, deadline = set(names), time.monotonic() + STOP_S + 5
        while True:
            found = self.supervisor.processes()
            busy = [n for n in wanted if n in found and found[n].state not in STOPPED]
            if not busy:
                return
            if time.monotonic() > deadline:
                raise TargetError(f"{busy[0]} does not stop.", "See: archlab status", unit=busy[0])
            for name in busy:
                if found[name].state != "STOPPING":
                    with suppress(TargetError):
                        self.supervisor.stop(name)
            time.sleep(_PAUSE_S)

    def _start(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(TargetError):
                self.supervisor.start(name)


def pair_of(folder: LabFolder, plan: Plan, port: int, supervisor: Supervisor) -> RegionPair | None:
    """The pair of a plan; None when it has no regions."""
    if plan.regions is None:
        return None
    return RegionPair(folder, plan.regions, places.places(folder, plan.regions, port), supervisor)
