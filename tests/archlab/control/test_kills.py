"""Control killed 50 times while it meters, its host's clock set back and forth: no record lost, none counted twice."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import pytest

from archlab.control.recompute import verified
from archlab.errors import UnavailableError
from archlab.ledger.lines import lines
from archlab.settings import LabFolder
from archlab.spec.airline import Tick
from archlab.spec.money import Resource, Usage, UsageKind
from archlab.spec.scenario import Scenario
from archlab.unixhttp import control
from control_process import START, made_tick, usage

KILLS = 50
TICK = timedelta(minutes=30)
OFFSETS_S = (0.0, -7_200.0, 0.0, 3_600.0, -86_400.0)
SUPPORT = Path(__file__).parents[2] / "support"


@dataclass
class Forks:
    """Control, started and killed through its launcher."""

    folder: LabFolder
    launcher: subprocess.Popen[str]
    pid: int = 0

    def start(self, offset_s: float) -> None:
        self.folder.socket("control").unlink(missing_ok=True)
        assert self.launcher.stdin
        assert self.launcher.stdout
        self.launcher.stdin.write(f"{offset_s}\n")
        self.launcher.stdin.flush()
        self.pid = int(self.launcher.stdout.readline())

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def forks(folder: LabFolder) -> Iterator[Forks]:
    environment = {**os.environ, "ARCHLAB_LAB": str(folder.root)}
    command = [sys.executable, str(SUPPORT / "forked_control.py")]
    with subprocess.Popen(
        command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as launcher:
        made = Forks(folder, launcher)
        yield made
        if made.pid:
            with contextlib.suppress(ProcessLookupError):
                made.kill()
        launcher.kill()


@dataclass
class Meter:
    """What a replay does: post a tick whole, and what comes late; ask again for what was not acknowledged."""

    folder: LabFolder
    stopped: threading.Event = field(default_factory=threading.Event)
    acknowledged: dict[str, Usage] = field(default_factory=dict)
    unanswered: int = 0

    def run(self) -> None:
        """Until it is stopped."""
        with contextlib.suppress(StopIteration):
            self._meter()

    def _meter(self) -> None:
        for number in count():
            if self.stopped.is_set():
                return
            tick = metered(number)
            late = usage(tick.start, "late", UsageKind.USED, 1_000_003 * (number % 3))
            job = usage(tick.start, "job", UsageKind.CONSUMED, 7 * number).model_copy(
                update={"resource": Resource.BATCH_CPU, "team": "" if number % 5 == 0 else "operations"}
            )
            self.post("/ticks", tick.model_dump(mode="json"))
            self.acknowledged |= {record.id: record for record in tick.usage}
            self.post("/usage", [record.model_dump(mode="json") for record in (late, job)])
            self.acknowledged |= {late.id: late, job.id: job}

    def post(self, path: str, body: object) -> None:
        while not self.stopped.is_set():
            with contextlib.suppress(UnavailableError):
                control(self.folder, "POST", path, body)
                return
            self.unanswered += 1
            time.sleep(0.005)  # control is being started again
        raise StopIteration


def metered(number: int) -> Tick:
    return made_tick(START + number * TICK, answers=1)


@pytest.mark.slow
def test_fifty_kills_lose_no_record_and_count_none_twice(folder: LabFolder, forks: Forks, scenario: Scenario) -> None:
    random, meter = Random(7), Meter(folder)
    forks.start(0.0)
    worker = threading.Thread(target=meter.run)
    worker.start()
    try:
        for kill in range(KILLS):
            before = len(meter.acknowledged)
            deadline = time.monotonic() + 60
            while len(meter.acknowledged) == before:  # it is up, and meters
                assert time.monotonic() < deadline
                assert worker.is_alive()
                time.sleep(0.005)
            time.sleep(random.random() * 0.05)
            forks.kill()
            check(folder, scenario, set(meter.acknowledged))
            forks.start(OFFSETS_S[kill % len(OFFSETS_S)])
    finally:
        meter.stopped.set()
        worker.join()
    forks.kill()
    check(folder, scenario, set(meter.acknowledged))
    assert meter.unanswered >= KILLS / 2, "it asked while control was away"


def check(folder: LabFolder, scenario: Scenario, acknowledged: set[str]) -> None:
    """Every acknowledged record is there, and the bill is that of the records: all of it, each once."""
    with contextlib.closing(sqlite3.connect(folder.control_db)) as db:
        kept = [row[0] for row in db.execute("SELECT id FROM usage")]
        ticks = db.execute("SELECT count(*), coalesce(max(end_us), 0) FROM ticks").fetchone()
        now_us = db.execute("SELECT now_us FROM clock").fetchone()[0]
    assert acknowledged <= set(kept)
    assert now_us == (ticks[1] or now_us)
    found = verified(folder.control_db, scenario.prices)
    assert found["agrees"], found["differences"]
    assert found["total_nanousd"] == expected(scenario, set(kept), ticks[0])


def expected(scenario: Scenario, kept: set[str], ticks: int) -> int:
    """The bill of what was really metered, computed from scratch."""
    records: list[Usage] = []
    for number in range(ticks):
        tick = metered(number)
        records += tick.usage
        records.append(usage(tick.start, "late", UsageKind.USED, 1_000_003 * (number % 3)))
        job = usage(tick.start, "job", UsageKind.CONSUMED, 7 * number)
        records.append(job.model_copy(update={"resource": Resource.BATCH_CPU}))
    assert kept <= {record.id for record in records}
    return sum(line.cost_nanousd for line in lines((r for r in records if r.id in kept), scenario.prices))
