"""What every target can do. Nothing above the targets asks where a lab runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from archlab.spec.job import Job, JobResult
from archlab.spec.plan import Endpoints, Observation, Plan, Progress

if TYPE_CHECKING:
    from archlab.targets.regional import RegionPair

OnEvent = Callable[[dict[str, Any]], None]
"""Called with what a job reports on its way: `step`, `detail`, `done`, `total`."""


class Target(Protocol):
    """Carries a plan out."""

    on_this_machine: bool
    """Whether units run here, where the devices are that this machine's driver reports."""

    def accept(self, before: Plan, after: Plan) -> None:
        """Let a plan pass only if it can be carried out here; what `before` had already is not asked again.

        Raises:
            PlacementError: its placements on devices can't; says why, and the next step.
            UserError: its autoscaling can't.
        """

    def apply(self, plan: Plan, progress: Progress) -> None:
        """Converge to the plan; idempotent, may be interrupted and called again.

        Raises:
            TargetError: a unit does not come up; carries its last log lines.
            ConflictError: the gateway's port is taken, or another command is changing the lab.
        """

    def route(self, plan: Plan) -> None:
        """Hand only the plan's routes to a running gateway; every replica that they name must run already.

        Raises:
            TargetError: the gateway refuses them, or does not answer.
        """

    def share(self) -> None:
        """Make what the lab's folder says known to units that don't share the folder.

        Raises:
            UnavailableError: control does not answer.
        """

    def bound(self, plan: Plan) -> None:
        """Make what teams may hold at most what the plan says, where the target itself sees to that.

        Raises:
            TargetError: it can't.
        """

    def destroy(self) -> None:
        """Stop everything that runs; what is stored stays. Harmless when nothing runs."""

    def withdraw(self, replica: str) -> None:
        """Stop one replica, `<unit>-<index>`; it stays away until the next `apply`.

        Raises:
            TargetError: it does not stop, or there is none of that name.
        """

    def regions(self, plan: Plan) -> RegionPair:
        """The regions of a lab that is up.

        Raises:
            UserError: its plan has none, or they can't be had here.
        """

    def purge(self) -> None:
        """Delete what is stored outside the lab's folder; after `destroy`, or without it. Harmless when nothing is."""

    def keep_start(self) -> None:
        """Keep the present state of registry, control and features as the scenario's start."""

    def check_return(self) -> None:
        """Whether the state could be put back; asked before anything is stopped.

        Raises:
            LabStateError: part of it is kept where no copy is made of it.
        """

    def return_to_start(self) -> None:
        """Put the state that was kept back; everything must be stopped.

        Raises:
            LabStateError: none was kept.
        """

    def observe(self) -> Observation:
        """Every replica as it is right now."""

    def endpoints(self) -> Endpoints:
        """How to reach the lab from outside."""

    def run(self, job: Job, on_event: OnEvent) -> JobResult:
        """Run a job to its end; an interrupt is passed on to it and waited for.

        Raises:
            ArchlabError: the error that the job reported, or TargetError when it ended without a word.
        """

    def interrupt(self) -> None:
        """Ask the jobs that other threads run through this object to stop at their next safe point.

        ^C reaches the main thread only: whoever runs a job in another thread calls this when the main one stops.
        """

    def logs(self, unit: str, index: int | None = None, lines: int = 100, *, follow: bool = False) -> Iterator[str]:
        """The last lines of a unit's output (of one replica, or of all), and with `follow` whatever comes after.

        Raises:
            NotFoundError: nothing of that name has a log.
        """
