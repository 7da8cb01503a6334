"""Beside Envoy in a gateway pod: follows the plan that control publishes and the pods that answer.

`python -m archlab.gateway.agent`, with ARCHLAB_LAB and the variables of `archlab_serving.sidecar`, writes Envoy's
files. A new plan is handed over as on one machine (`archlab.gateway.rollout`); control hears when exactly that plan is
in force. Without control or the Kubernetes API everything stays as it was.
"""

from __future__ import annotations

import logging
import signal
import threading
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
    slices: EndpointSlices = field(default_factory=EndpointSlices)
    units: frozenset[str] = frozenset()
    """Server units of the plan: each has endpoint files, be there pods or not."""
    _pods: Services = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
                self.list_pods()
                write(self._configuration(), self.files)
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
        """Keep the endpoint files what the Kubernetes API says."""
        complaint = ""
        while not stop.is_set():
            try:
                version = self.list_pods()
                for _ in self.slices.changes(version):
                    self.list_pods()
                complaint = ""
            except ArchlabError as error:
                complaint = _warn(f"the replicas stay as they are: {error}", complaint)
                stop.wait(RETRY_S)

    def list_pods(self) -> str:
        """Read who is ready and write it down; the version of what was read."""
        pods, version = self.slices.services()
        with self._lock:
            self._pods = pods
            self._write_pods()
        return version

    def _take_over(self) -> None:
        config = self._configuration()
        with self._lock:
            self._write_pods()
        roll_out(config, self.files)
        self.mirror.applied, self.mirror.error = self.mirror.digest, ""
        _log.info("plan %s is in force", self.mirror.digest[:12])

    def _configuration(self) -> Configuration:
        plan = Plan.model_validate_json((self.folder.root / "gateway" / "plan.json").read_bytes())
        self.units = frozenset(unit.name for unit in plan.units if unit.role is Role.SERVER)
        with self._lock:
            self._write_pods()
        jwks = (self.folder.keys / "jwks.json").read_text()
        return configuration(plan, self.folder, LISTEN, jwks, self.site)

    def _write_pods(self) -> None:
        for unit in self.units:
            self.site.write(unit, [pod.host for pod in self._pods.get(unit, ())])


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
