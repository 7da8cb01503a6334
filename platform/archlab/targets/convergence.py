"""From what runs to what should run, in an order that loses no request.

New replicas come up first, changed ones restart one after the other, then the gateway takes over its new routes, and
only then do the replicas stop that no route names any more. Every step starts from what is found, so a run that was cut
off anywhere is finished by the next one.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from archlab.errors import TargetError
from archlab.gateway.configuration import Configuration, GatewayFiles
from archlab.gateway.rollout import roll_out, wait_answering, wait_healthy
from archlab.settings import LabFolder
from archlab.spec.plan import Progress
from archlab.targets.commands import Program
from archlab.targets.logs import tail
from archlab.targets.readiness import wait_ready
from archlab.targets.supervision import DOWN, STOP_S, Supervisor

_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Convergence:
    """One application of a plan to a running supervisord whose configuration file is the new one already."""

    folder: LabFolder
    supervisor: Supervisor
    desired: Sequence[Program]
    config: Configuration
    progress: Progress

    def run(self) -> None:
        """Converge.

        Raises:
            TargetError: a replica does not come up, or the gateway refuses its configuration.
        """
        differences = self.supervisor.reload()
        for name in differences.added:
            self.progress("start", name)
            self.supervisor.add(name)
        self._start_standing()
        self._restart(differences.changed)
        self._wait(self.desired)
        self._route()
        self._retire(differences.removed)

    def _start_standing(self) -> None:
        """Those that gave up or were stopped by hand."""
        found = self.supervisor.processes()
        for program in self.desired:
            if program.name in found and found[program.name].state in DOWN:
                self.supervisor.start(program.name)

    def _restart(self, names: Collection[str]) -> None:
        """Changed programs in waves, one replica of each unit at a time, so that the others carry on."""
        waves: defaultdict[int, list[Program]] = defaultdict(list)
        for program in self.desired:
            if program.name in names:
                waves[program.index].append(program)
        for _, wave in sorted(waves.items()):
            self._stop([program.name for program in wave])
            for program in wave:
                self.progress("restart", program.name)
                self.supervisor.add(program.name)
            self._wait(wave)

    def _wait(self, programs: Collection[Program]) -> None:
        """Until they are ready and the gateway has noticed."""
        wait_ready(programs, self.supervisor, self.folder, self.progress)
        self._ask_gateway(wait_healthy)

    def _route(self) -> None:
        self._ask_gateway(roll_out)
        self._ask_gateway(wait_answering)

    def _ask_gateway(self, what: Callable[[Configuration, GatewayFiles], None]) -> None:
        try:
            what(self.config, GatewayFiles.of(self.folder))
        except TargetError as error:
            last = tail(self.folder.log / f"{error.unit}-0.log", 20)
            raise TargetError(error.message, error.remedy, unit=error.unit, log_tail=last) from None

    def _retire(self, names: Collection[str]) -> None:
        for name in names:
            self.progress("stop", name)
        self._stop(names)

    def _stop(self, names: Collection[str]) -> None:
        """Stop programs and have supervisord forget them."""
        found = self.supervisor.processes()
        for name in names:
            if found[name].state not in {*DOWN, "STOPPING"}:
                self.supervisor.stop(name)
        self._until_down(names)
        for name in names:
            self.supervisor.forget(name)

    def _until_down(self, names: Collection[str]) -> None:
        deadline = time.monotonic() + STOP_S + 5
        while names:
            found = self.supervisor.processes()
            running = [name for name in names if found[name].state not in DOWN]
            if not running:
                return
            if time.monotonic() > deadline:
                raise TargetError(f"{running[0]} does not stop.", "See: archlab status", unit=running[0])
            time.sleep(_PAUSE_S)
