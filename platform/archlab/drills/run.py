"""Runs a drill: regions up, a control run without a fault, the experiment, its rollbacks, the report."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import logging
import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from archlab.drills import backups, experiments, records
from archlab.drills.control import ControlPlane
from archlab.drills.measure import FEW_IN_A_ROW, before, measure, missed
from archlab.drills.milestones import ROLLBACKS
from archlab.drills.models import Models
from archlab.drills.orders import Desk
from archlab.drills.probe import acknowledged_present, read_ledger
from archlab.drills.region import REGIONS
from archlab.drills.surprise import with_pauses
from archlab.drills.testbed import Testbed, current
from archlab.drills.watch import Watch
from archlab.errors import UnavailableError, UserError
from archlab.lab.lock import exclusive
from archlab.settings import LabFolder
from archlab.spec.drill import (
    Attempt,
    DrillReport,
    Event,
    Kind,
    Measured,
    Objectives,
    Posture,
    Recovery,
    Surprise,
    Verdict,
    Where,
)
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Progress

CONTROL_S = 3.0
"""Length of the control run."""
AFTER_S = 0.5
"""How long the probe goes on after the steady state is found again."""
SETTLED = 20
"""Answers of each kind that the probe has to have before the control run begins: connections are made then."""
UNTOLD = "surprise"
_NAMES = re.compile(r"^(?:[a-z_]+(?:\.[A-Za-z_]+)+: )+")
INTERRUPTED = frozenset({"interrupted", "aborted"})


def run(
    name: str | None,
    posture: Posture,
    progress: Progress,
    *,
    surprise: Surprise | None = None,
    objectives: Objectives | None = None,
    control_s: float = CONTROL_S,
    place: KubePlace | None = None,
) -> tuple[Path, DrillReport]:
    """Run a drill on two regions of its own, keep its report, take the regions down.

    ^C ends it early: the rollbacks run all the same, and the report says void.

    Args:
        name: the drill's; None for a surprise.
        posture: how the regions are prepared.
        progress: told of every step.
        surprise: what was drawn. Until the report nothing that can be read names the drill.
        objectives: what is set here replaces the drill's own.
        control_s: length of the control run.
        place: the cluster on which the regions are; None for this machine.

    Raises:
        NotFoundError: there is no such drill.
        UserError: Postgres or the drill's libraries are not installed.
        ConflictError: another drill runs.
        TargetError: the regions don't come up.
    """
    drill = experiments.load(surprise.drill if surprise else name or "")
    _require_library()
    if place:
        refuse_elsewhere(drill)
    public = UNTOLD if surprise else drill.name
    with exclusive(LabFolder(records.root()), f"drill run {public}"):
        testbed = _on_cluster(place, posture) if place else _laid_out(drill.about, posture)
        folder = records.new(public, datetime.now(UTC))
        try:
            testbed.up(progress)
            if surprise:
                # whatever comes: a backup that is made for one drill only would name it
                backups.take(testbed)
                testbed.prepared = True
            report = _Drill(drill, testbed, folder, progress, surprise, objectives).run(control_s)
            records.keep(folder, report)
        finally:
            progress("stop", "regions, links and gateway")
            testbed.down()
            records.drop_empty(folder)
    return folder, report


def _laid_out(about: Kind, posture: Posture) -> Testbed:
    """With what the drill is about: a model in both regions, a gate outside of them."""
    testbed = Testbed.lay_out(records.testbed_root(), posture)
    if about in (Kind.PREDICT, Kind.PROMOTE):
        testbed.models = Models.lay_out(testbed.folder, REGIONS)
    if about is Kind.PROMOTE:
        testbed.control = ControlPlane.lay_out(testbed.folder, testbed.engine_port)
    return testbed


def _on_cluster(place: KubePlace, posture: Posture) -> Testbed:
    from archlab.drills.cluster import Cluster

    site = Cluster(place)
    return Testbed.elsewhere(records.testbed_root(), posture, site.regions, site)


def runs_on_cluster(drill: experiments.Experiment) -> bool:
    """Whether a drill's regions can be on a cluster: those with a model or a registry are on this machine."""
    return drill.about in (Kind.WRITE, Kind.READ)


def refuse_elsewhere(drill: experiments.Experiment) -> None:
    """Let a drill pass that runs on a cluster.

    Raises:
        UserError: it is about a model or the policy engine.
    """
    if not runs_on_cluster(drill):
        others = [name for name in experiments.names() if runs_on_cluster(experiments.load(name))]
        raise UserError(
            f"Drill {drill.name} has a model or a registry in it, and those run on this machine only.",
            f"Leave --target kube out, or run one of: {', '.join(others)}.",
        )


def _require_library() -> None:
    if importlib.util.find_spec("chaoslib") is None:
        raise UserError(
            "Chaos Toolkit, which runs the experiments, is not installed.", "pip install 'archlab[recovery]'"
        )


@dataclass(slots=True)
class _Drill:
    """One run of an experiment on a testbed that is up."""

    experiment: experiments.Experiment
    testbed: Testbed
    folder: Path
    progress: Progress
    surprise: Surprise | None = None
    wanted: Objectives | None = None
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    zero: float = field(default_factory=time.monotonic)
    present: frozenset[int] | None = None
    """What can be read before anything is rolled back, or after."""
    until: float = math.inf
    """When rollbacks began, or writes were read back if that was earlier: what was on its way then is not judged."""

    @property
    def ledger(self) -> Path:
        return self.folder / records.LEDGER

    def run(self, control_s: float) -> DrillReport:
        self.testbed.probe(self.ledger)
        desk = Desk(self.testbed)
        try:
            desk.open()
            if unclean := self._control(control_s) or self._quiet(desk):
                return self._report(Verdict.VOID, unclean, None, {})
            watch = Watch(self.testbed)
            if self.testbed.posture.recovery is not Recovery.NONE:
                watch.start()
            try:
                journal = self._experiment(watch, desk)
            finally:
                watch.stop()
        finally:
            desk.close()
            self.testbed.stop_probe()
        return self._judge(journal)

    def _control(self, control_s: float) -> tuple[str, ...]:
        """The same without a fault: what is not clean then makes the drill void."""
        self.progress("control", f"{control_s:g} s without a fault")
        deadline = time.monotonic() + 15
        while not self._settled() and time.monotonic() < deadline:
            time.sleep(0.05)
        since = self.testbed.note("control run begins").at
        time.sleep(control_s)
        self.testbed.note("control run ends")
        return unclean([a for a in self._attempts() if a.sent >= since])

    def _quiet(self, desk: Desk) -> tuple[str, ...]:
        """Nothing happens until the fault that was drawn is due; why the drill is void if something does."""
        if self.surprise is None:
            return ()
        since = time.monotonic()
        self.progress("experiment", f"something happens; the gateway is {self.testbed.base}")
        if desk.acted.wait(self.surprise.delay_s):
            desk.close()
            return ("somebody ordered a recovery before there was a fault",)
        return unclean([a for a in self._attempts() if a.sent >= since])

    def _settled(self) -> bool:
        asked = {Kind.WRITE: SETTLED, Kind.READ: SETTLED}
        asked |= {Kind.PREDICT: SETTLED} if self.testbed.models else {}
        asked |= {Kind.PROMOTE: FEW_IN_A_ROW} if self.testbed.control else {}
        kinds = [a.kind for a in self._attempts() if a.ok]
        return all(kinds.count(kind) >= least for kind, least in asked.items())

    def _attempts(self) -> tuple[Attempt, ...]:
        try:
            return read_ledger(self.ledger)
        except FileNotFoundError:
            return ()

    def _experiment(self, watch: Watch, desk: Desk) -> dict[str, Any]:
        from chaoslib.run import RunEventHandler, Runner
        from chaoslib.types import Strategy

        drill = self

        class Marks(RunEventHandler):  # type: ignore[misc]
            """What is read and noted in between."""

            def start_rollbacks(self, experiment: dict[str, Any]) -> None:
                """The last moment before anything is put back: what can be read now is what was recovered."""
                time.sleep(AFTER_S)
                watch.stop()
                desk.close()
                drill.until = drill.testbed.note(ROLLBACKS).at
                drill._read_back()

        content = self.experiment.content
        if self.surprise:
            content = with_pauses(content, self.surprise.pause_s)
        else:
            self.progress("experiment", self.experiment.title)
        with _logged(self.folder / records.LOG, at_the_end=self.surprise is not None), current(self.testbed):
            runner = Runner(Strategy.DEFAULT)
            runner.register_event_handler(Marks())
            settings = {"runtime": {"rollbacks": {"strategy": "always"}}}
            journal = runner.run(copy.deepcopy(content), settings)
        self._read_back()
        found: dict[str, Any] = json.loads(json.dumps(journal, default=str))
        return found

    def _read_back(self) -> None:
        if self.present is None:
            self.until = min(self.until, time.monotonic())
            with suppress(UnavailableError):
                self.present = acknowledged_present(self.testbed.base)

    def _judge(self, journal: dict[str, Any]) -> DrillReport:
        if journal["status"] in INTERRUPTED:
            return self._report(Verdict.VOID, (f"the experiment was {journal['status']}",), None, journal)
        if not self.testbed.faults:
            return self._report(Verdict.VOID, ("the steady state was not met at the start",), None, journal)
        attempts = before(self._attempts(), self.until)
        about = self.experiment.about
        measured = measure(attempts, self.testbed.faults, self.testbed.events, self.present, about=about)
        reasons = [*_deviated(journal), *missed(measured, self._objectives())]
        reasons += [f"failover refused: {e.detail}" for e in self.testbed.events if e.name == "refused"]
        return self._report(Verdict.RED if reasons else Verdict.GREEN, tuple(reasons), measured, journal)

    def _objectives(self) -> Objectives:
        own = self.experiment.objectives.get(self.testbed.posture.replication, Objectives())
        return own.model_copy(update=self.wanted.model_dump(exclude_none=True)) if self.wanted else own

    def _report(
        self, verdict: Verdict, reasons: tuple[str, ...], measured: Measured | None, journal: dict[str, Any]
    ) -> DrillReport:
        return DrillReport(
            drill=self.experiment.name,
            title=self.experiment.title,
            about=self.experiment.about,
            began=self.began,
            surprise=self.surprise,
            target=Where.KUBE if self.testbed.site else Where.LOCAL,
            posture=self.testbed.posture,
            objectives=self._objectives(),
            verdict=verdict,
            reasons=reasons,
            measured=measured,
            events=tuple(self.testbed.events),
            faults=tuple(self.testbed.faults),
            failback_s=_failback(self.testbed.events),
            clock_zero=self.zero,
            journal=journal,
        )


def unclean(attempts: Sequence[Attempt]) -> tuple[str, ...]:
    """Why a control run says that the drill would say nothing; empty when it is clean."""
    bad = sorted({a.outcome for a in attempts if not a.ok})
    if bad:
        return (f"without any fault, requests failed ({', '.join(bad)})",)
    if not any(a.ok for a in attempts):
        return ("without any fault, nothing was answered",)
    return ()


def _deviated(journal: dict[str, Any]) -> Iterator[str]:
    if journal["deviated"]:
        yield "the steady state was not met again"
    for what in ("run", "rollbacks"):
        for activity in journal.get(what, ()):
            if activity["status"] != "succeeded":
                trace = activity.get("exception") or [activity["status"]]
                said = trace if isinstance(trace, str) else trace[-1]
                yield f"{activity['activity']['name']} failed: {plain(said)}"


def plain(said: str) -> str:
    """The last line of a trace without the exceptions' names."""
    return _NAMES.sub("", said.strip().splitlines()[-1])


def _failback(events: Sequence[Event]) -> float | None:
    begins = next((e.at for e in events if e.name == ROLLBACKS), None)
    ends = next((e.at for e in events if e.name == "pair"), None)
    return None if begins is None or ends is None else ends - begins


@contextmanager
def _logged(path: Path, *, at_the_end: bool) -> Iterator[None]:
    """Chaos Toolkit's log goes into a file, not to the terminal; at the end when it tells what must stay secret."""
    logger, file = logging.getLogger("chaostoolkit"), io.StringIO() if at_the_end else path.open("a")
    handler = logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = (logger.level, logger.propagate)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.level, logger.propagate = before
        logger.removeHandler(handler)
        if isinstance(file, io.StringIO):
            path.write_text(file.getvalue())
        file.close()
