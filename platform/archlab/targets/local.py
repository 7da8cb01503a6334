"""The local target: processes of this machine under supervisord, behind Envoy."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from archlab.errors import NotFoundError, TargetError, UnavailableError, UserError
from archlab.files import write_atomic
from archlab.gateway.admin import Admin
from archlab.gateway.configuration import Configuration, GatewayFiles, configuration, write
from archlab.gateway.rollout import roll_out
from archlab.settings import LabFolder
from archlab.spec.job import Job, JobResult
from archlab.spec.plan import Endpoints, Observation, Plan, Progress, Role
from archlab.targets import (
    bento,
    devices,
    logs,
    observation,
    places,
    ports,
    processes,
    region_files,
    regional,
    running,
    snapshot,
)
from archlab.targets.base import OnEvent
from archlab.targets.commands import Commands, LocalCommands, Program, programs
from archlab.targets.convergence import Convergence
from archlab.targets.readiness import only, wait_answer
from archlab.targets.regional import RegionPair
from archlab.targets.supervision import DOWN, STOP_S, Supervisor, render
from archlab.targets.topology import Topology

MAX_SOCKET_PATH = 100
ACCESS_LOG_BYTES = 32 << 20
START_S = 15.0
_PAUSE_S = 0.05


class LocalTarget:
    """Carries a lab's plan out on this machine.

    Args:
        folder: the lab's.
        port: where its gateway listens on 127.0.0.1.
        commands: what runs for each replica; the lab's own processes by default.
    """

    on_this_machine = True

    def __init__(self, folder: LabFolder, port: int, commands: Commands | None = None) -> None:
        self.folder = folder
        self.port = port
        self._commands = commands
        self._supervisor = Supervisor(folder.socket("supervisor"))
        self._running: running.Running = set()

    def accept(self, before: Plan, after: Plan) -> None:
        """Every placement can be; replicas follow no load. See `archlab.targets.base.Target`."""
        places.refuse_dead(self.folder, after.regions)
        if scaled := [unit.name for unit in after.units if unit.autoscaling]:
            raise UserError(
                f"{scaled[0]} can't be autoscaled on this machine. Nothing was changed.",
                "Labs on a cluster can: archlab up SCENARIO --lab NAME --target kube",
            )

    def apply(self, plan: Plan, progress: Progress) -> None:
        """Converge to the plan; see `archlab.targets.base.Target`."""
        places.refuse_dead(self.folder, plan.regions)
        _prepare(self.folder, plan)
        if self._commands is None:
            bento.ensure(self.folder, plan, progress)
        pair = regional.pair_of(self.folder, plan, self.port, self._supervisor)
        if pair:
            places.prepare(self.folder, pair.pair, pair.places)
            region_files.prepare(self.folder, pair.pair, pair.places)
        devices.write(self.folder, plan)
        config = self._configuration(plan)
        files = GatewayFiles.of(self.folder)
        write(config, files, frozenset({"bootstrap.json"}))
        own = LocalCommands(self.folder, self.port, pair.places if pair else {})
        desired = programs(plan, self._commands or own)
        text = render(desired, self.folder)
        self._claim_port(progress)
        write_atomic(self.folder.conf / "supervisord.conf", text)
        Topology.of(desired).write(self.folder)
        self._ensure_supervisor(config, files, progress)
        try:
            Convergence(self.folder, self._supervisor, desired, config, progress).run()
            if pair:
                pair.keep_paired(progress)
            self._confirm(desired, progress)
        except TargetError:
            self._check_port()  # a gateway without its port says less than who has it
            raise
        self._rotate()

    def route(self, plan: Plan) -> None:
        """Hand only the plan's routes to a running gateway; see `archlab.targets.base.Target`."""
        roll_out(self._configuration(plan), GatewayFiles.of(self.folder))

    def share(self) -> None:
        """Nothing to do: the units read the lab's folder."""

    def bound(self, plan: Plan) -> None:
        """Nothing to do: one machine gives whoever asks; the rules decide what is planned."""

    def destroy(self) -> None:
        """Stop everything; see `archlab.targets.base.Target`."""
        if self._supervisor.alive():
            self._shut_down()
        processes.end(processes.marked(self.folder.root, jobs=True), grace_s=3)
        shutil.rmtree(self.folder.run, ignore_errors=True)

    def withdraw(self, replica: str) -> None:
        """Stop one replica, `<unit>-<index>`; it stays away until the next `apply`.

        Raises:
            TargetError: it does not stop, or there is none of that name.
        """
        if replica not in self._supervisor.processes():
            raise TargetError(f"There is no replica {replica} to take away.", unit=replica)
        self._supervisor.stop(replica)
        deadline = time.monotonic() + STOP_S + 5
        while self._supervisor.processes()[replica].state not in DOWN:
            if time.monotonic() > deadline:
                raise TargetError(f"{replica} does not stop.", f"See: archlab logs {replica}", unit=replica)
            time.sleep(_PAUSE_S)

    def regions(self, plan: Plan) -> RegionPair:
        """The regions of a lab that is up; see `archlab.targets.base.Target`."""
        if (pair := regional.pair_of(self.folder, plan, self.port, self._supervisor)) is None:
            raise UserError(f"Lab {self.folder.name} runs in one place: it has no regions.")
        return pair

    def purge(self) -> None:
        """Nothing to do: everything is in the lab's folder."""

    def keep_start(self) -> None:
        """See `archlab.targets.base.Target`."""
        plan = Plan.model_validate_json(self.folder.plan.read_bytes())
        if pair := regional.pair_of(self.folder, plan, self.port, self._supervisor):
            pair.keep_start()
        snapshot.save(self.folder)

    def check_return(self) -> None:
        """All of it can be; see `archlab.targets.base.Target`."""

    def return_to_start(self) -> None:
        """See `archlab.targets.base.Target`."""
        region_files.forget(self.folder)
        snapshot.restore(self.folder)
        region_files.return_to_start(self.folder)

    def observe(self) -> Observation:
        """Every replica as it is right now."""
        return observation.observe(self.folder, self._supervisor)

    def endpoints(self) -> Endpoints:
        """How to reach the lab from outside."""
        return Endpoints(gateway=f"http://{ports.ADDRESS}:{self.port}")

    def run(self, job: Job, on_event: OnEvent) -> JobResult:
        """Run a job to its end; see `archlab.targets.base.Target`."""
        self._rotate()
        return running.run(self.folder, job, on_event, self._running)

    def interrupt(self) -> None:
        """Ask the jobs that other threads of this process run to stop; see `archlab.targets.base.Target`."""
        running.interrupt(self._running)

    def logs(self, unit: str, index: int | None = None, lines: int = 100, *, follow: bool = False) -> Iterator[str]:
        """A unit's output; see `archlab.targets.base.Target`. Jobs are called `job-<name>`."""
        known = logs.known(self.folder.log)
        found = [p for name, p in known.items() if name == unit or name == f"{unit}-{index}"]
        if index is None:
            found = [p for name, p in known.items() if name == unit or logs.is_replica(name, unit)]
        if not found:
            raise NotFoundError(f"There is no log of {unit!r}.", f"Known: {', '.join(known) or 'none yet'}.")
        return logs.read(found, lines, endless=follow)

    def _configuration(self, plan: Plan) -> Configuration:
        return configuration(plan, self.folder, self.port, (self.folder.keys / "jwks.json").read_text())

    def _claim_port(self, progress: Progress) -> None:
        """Make sure that the gateway's port is free or ours; what a dead supervisord left behind is ended first."""
        if not self._supervisor.alive():
            self._clear(progress)
        self._check_port()

    def _check_port(self) -> None:
        """Raise ConflictError when somebody else has the gateway's port."""
        try:
            gateway = self._supervisor.processes().get(f"{Role.GATEWAY}-0")
        except UnavailableError:
            gateway = None
        ours = gateway is not None and ports.listens(gateway.pid, self.port)
        if not ours and not ports.is_free(self.port):
            raise ports.taken(self.port)

    def _clear(self, progress: Progress) -> None:
        orphans = processes.marked(self.folder.root, jobs=False)
        if orphans:
            progress("clean", f"ending {len(orphans)} processes that a killed supervisor left behind")
            processes.end(orphans, grace_s=5)
        for socket in self.folder.run.glob("*.sock*"):
            socket.unlink(missing_ok=True)

    def _ensure_supervisor(self, config: Configuration, files: GatewayFiles, progress: Progress) -> None:
        if self._supervisor.alive():
            return
        progress("start", "supervisord")
        write(config, files)
        _launch(self.folder)
        deadline = time.monotonic() + START_S
        while not self._supervisor.alive():
            if time.monotonic() > deadline:
                raise _supervisor_failure(self.folder, f"does not answer after {START_S:g} s")
            time.sleep(_PAUSE_S)

    def _confirm(self, desired: tuple[Program, ...], progress: Progress) -> None:
        gateway, control = only(desired, Role.GATEWAY), only(desired, Role.CONTROL)
        if gateway and control:
            wait_answer(self.port, "/healthz", self.folder, gateway, patience_s=15)
            self._check_port()
            progress("start", f"all units answer behind {self.endpoints().gateway}")

    def _shut_down(self) -> None:
        try:
            pid = self._supervisor.pid()
            self._supervisor.stop_all()
            deadline = time.monotonic() + STOP_S + 5
            while any(p.state not in DOWN for p in self._supervisor.processes().values()):
                if time.monotonic() > deadline:
                    break
                time.sleep(_PAUSE_S)
            self._supervisor.shutdown()
            processes.wait_gone(pid, patience_s=10)
        except (UnavailableError, TargetError):
            return

    def _rotate(self) -> None:
        """Start a new access log when the present one has grown large."""
        files = GatewayFiles.of(self.folder)
        if logs.rotate(files.access_log, ACCESS_LOG_BYTES):
            try:
                Admin(files.admin).reopen_logs()
            except UnavailableError:
                return


def _prepare(folder: LabFolder, plan: Plan) -> None:
    """Folders with the right owner and mode; a path to every socket that the system accepts."""
    for path in (folder.conf, folder.log, folder.predictions):
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    longest = max((folder.socket(f"{u.name}-{u.replicas}") for u in plan.units), key=lambda p: len(str(p)))
    if len(str(longest)) > MAX_SOCKET_PATH:
        raise TargetError(
            f"The path of a unix socket is too long: {longest}.", "Set TMPDIR to a short path, e.g. /tmp."
        )
    run = folder.run
    run.mkdir(mode=0o700, exist_ok=True)
    found = run.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TargetError(f"{run} is not a private folder of yours.", f"Remove it: rm -r {run}")
    _link(folder.root / "run", run)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _launch(folder: LabFolder) -> None:
    """Start supervisord; it detaches itself."""
    config = folder.conf / "supervisord.conf"
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
        env=processes.environment(os.environ, folder.root, "supervisord"),
        cwd=folder.root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        umask=0o077,
    )
    if done.returncode:
        raise _supervisor_failure(folder, f"does not start: {done.stderr.strip() or done.stdout.strip()}")


def _supervisor_failure(folder: LabFolder, what: str) -> TargetError:
    last = logs.tail(folder.log / "supervisord.log", 20)
    return TargetError(f"supervisord {what}.", "See: archlab logs supervisord", unit="supervisord", log_tail=last)
