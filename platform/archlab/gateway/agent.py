"""Beside Envoy in a gateway pod: follows the plan that control publishes and the pods that answer.

`python -m archlab.gateway.agent`, with ARCHLAB_LAB and the variables of `archlab_serving.sidecar`, writes Envoy's
files. A new plan is handed over as on one machine (`archlab.gateway.rollout`); control hears when exactly that plan is
in force. Without control or the Kubernetes API everything stays as it was.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from archlab.addresses import LISTEN
from archlab.errors import ArchlabError
from archlab.gateway.configuration import Configuration, GatewayFiles, configuration, write
from archlab.gateway.rollout import roll_out
from archlab.gateway.sites import Names
from archlab.incluster import EndpointSlices, Services
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Role
from archlab_serving.sidecar import RETRY_S, WAIT_S, Control, Mirror, Settings, SyncError

_log = logging.getLogger("archlab.gateway")
UNREACHABLE = (OSError, ValueError, KeyError, TypeError, SyncError)


@dataclass(slots=True)
class Agent:
    """One gateway pod's."""

    folder: LabFolder
    mirror: Mirror
    site: Names
    slices: Callable[[str], EndpointSlices] = EndpointSlices
    """Those of a team's namespace."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Teams of the plan's server units: each has endpoint files, be there pods or not."""
    _pods: dict[str, Services] = field(default_factory=dict)
    """By the team in whose namespace they are."""
    _watched: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def teams(self) -> frozenset[str]:
        """In whose namespaces the plan has servers."""
        return frozenset(self.units.values())

    @property
    def files(self) -> GatewayFiles:
        """Envoy's."""
        return GatewayFiles.of(self.folder)

    def begin(self, stop: threading.Event) -> None:
        """Write everything that Envoy starts from, as soon as control has published a plan."""
        complaint = ""
        self.folder.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        while not stop.is_set():
            try:
                self.mirror.follow(0)
                config = self._configuration()
                for team in self.teams:
                    self.list_pods(team)
                write(config, self.files)
                self.mirror.applied = self.mirror.digest
            except (*UNREACHABLE, ArchlabError) as error:
                complaint = _warn(f"waiting for a plan: {error}", complaint)
                stop.wait(RETRY_S)
            else:
                return

    def follow_plan(self, stop: threading.Event) -> None:
        """Bring Envoy to each new plan."""
        complaint = ""
        while not stop.is_set():
            try:
                if self.mirror.follow(WAIT_S) or self.mirror.applied != self.mirror.digest:
                    self._take_over()
                complaint = ""
            except UNREACHABLE as error:
                complaint = _warn(f"the plan stays as it is: {error}", complaint)
                stop.wait(RETRY_S)
            except ArchlabError as error:
                self.mirror.error = error.message
                complaint = _warn(f"the gateway stays as it is: {error}", complaint)
                stop.wait(RETRY_S)

    def follow_pods(self, stop: threading.Event) -> None:
        """Keep the endpoint files what the Kubernetes API says, of every namespace that the plan has servers in."""
        while not stop.is_set():
            for team in self.teams - self._watched:
                self._watched.add(team)
                threading.Thread(target=self._follow_team, args=(team, stop), daemon=True).start()
            stop.wait(RETRY_S)

    def list_pods(self, team: str) -> str:
        """Read who is ready in a team's namespace and write it down; the version of what was read."""
        pods, version = self.slices(team).services()
        with self._lock:
            self._pods[team] = pods
            self._write_pods()
        return version

    def _follow_team(self, team: str, stop: threading.Event) -> None:
        """As long as the plan has servers there; without the API, or the right to ask, what is known stays."""
        complaint = ""
        while not stop.is_set() and team in self.teams:
            try:
                version = self.list_pods(team)
                for _ in self.slices(team).changes(version):
                    self.list_pods(team)
                complaint = ""
            except (*UNREACHABLE, ArchlabError) as error:  # a full disk ends one round, not all that follow
                complaint = _warn(f"the replicas of {team} stay as they are: {error}", complaint)
                stop.wait(RETRY_S)
        self._watched.discard(team)

    def _take_over(self) -> None:
        before = self.teams
        config = self._configuration()
        for team in self.teams - before:
            self._pods.pop(team, None)  # what was known of it may be of another time
        for team in self.teams - self._pods.keys():
            self.list_pods(team)
        roll_out(config, self.files)
        self.mirror.applied, self.mirror.error = self.mirror.digest, ""
        _log.info("plan %s is in force", self.mirror.digest[:12])

    def _configuration(self) -> Configuration:
        plan = Plan.model_validate_json((self.folder.root / "gateway" / "plan.json").read_bytes())
        self.units = {unit.name: unit.team for unit in plan.units if unit.role is Role.SERVER}
        with self._lock:
            self._write_pods()
        jwks = (self.folder.keys / "jwks.json").read_text()
        return configuration(plan, self.folder, LISTEN, jwks, self.site)

    def _write_pods(self) -> None:
        for unit, team in self.units.items():
            self.site.write(unit, [pod.host for pod in self._pods.get(team, {}).get(unit, ())])


def _warn(text: str, before: str) -> str:
    if text != before:
        _log.warning("%s", text)
    return text


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    folder, settings = LabFolder.from_environment(), Settings.from_environment()
    site = Names(GatewayFiles.of(folder).folder / "endpoints", Path("/dev/stdout"))
    agent = Agent(folder, Mirror(settings, Control(settings)), site)
    agent.begin(stop)
    for work in (agent.follow_plan, agent.follow_pods):
        threading.Thread(target=work, args=(stop,), daemon=True).start()
    stop.wait()


if __name__ == "__main__":
    main()
