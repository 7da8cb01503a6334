"""Designs measured in a scratch lab beside the learner's: nothing of the latter moves, nothing of the former stays."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from archlab.experiments import calibration, trial
from archlab.experiments.scoring import judge, money
from archlab.grading.store import EvidenceStore
from archlab.lab import Lab, scratch
from archlab.lab.evidence import collect
from archlab.lab.work import clock
from archlab.spec.experiments import DesignTask
from archlab.spec.scenario import Mode, ModelOverride, Overrides
from archlab.targets import processes
from harness import ARCHLAB, Cli

pytestmark = pytest.mark.lab

PATIENCE_S = 300.0
THRIFTY = Overrides(
    models={
        "flight-time": ModelOverride(mode=Mode.BATCH),
        "arrival-delay": ModelOverride(replicas=1),
        "delay-recovery": ModelOverride(replicas=1),
    }
)
ONE_EACH = Overrides(models={"departure-delay": ModelOverride(replicas=1)})


def _pids(lab: Lab) -> dict[str, int | None]:
    return {f"{r.unit}-{r.index}": r.pid for r in lab.target.observe().replicas}


def _left_behind(lab: Lab) -> list[Any]:
    return [p for p in processes.marked(scratch.place(lab) / lab.name, jobs=True) if p.is_running()]


@pytest.mark.slow
def test_a_killed_measurement_leaves_nothing_that_hinders_the_next(cli: Cli, lab: Lab) -> None:
    before = _pids(lab)
    command = [ARCHLAB, "doctor", "--calibrate", "--lab", lab.name]
    process = subprocess.Popen(command, env=cli.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not _left_behind(lab):
        pause.wait(0.02)
        assert time.monotonic() < deadline, "the scratch lab never came up"
        assert process.poll() is None, "the command ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    taken = cli.json("doctor", "--calibrate", "--lab", lab.name)["calibration"]
    assert taken["requests_per_s"]["value"] > 0
    assert _left_behind(lab) == []
    assert _pids(lab) == before


@pytest.mark.slow
def test_designs_are_compared_on_a_hidden_day_and_stay_gradable(lab: Lab, tmp_path: Path) -> None:
    now, pids, score = clock(lab), _pids(lab), lab.control.get("/score")
    steps: list[str] = []

    def note(step: str, _detail: str) -> None:
        steps.append(step)

    _, rate = calibration.needed(lab, note)
    task = DesignTask(reference="thrifty", naive=("declared",), load_share=0.05, load_seconds=5, lose="online")
    where = trial.conditions(lab, "live", task, rate.value)
    assert where.starts > now
    others = trial.Designs(("thrifty", THRIFTY), (("declared", Overrides()),))
    found = trial.trial(lab, "live", ONE_EACH, others, where, note)

    declared, thrifty = found.naive[0], found.reference
    assert declared.days[0].since == where.starts
    assert money(thrifty).cost < money(declared).cost
    served = {f.model: f for f in declared.loads[0].models}
    assert served["departure-delay"].failures == 0, "a lost replica was not covered by the second one"
    lost = {f.model: f for f in found.submitted.loads[0].models}
    assert lost["departure-delay"].failures == lost["departure-delay"].requests > 0

    evidence = collect(lab).model_copy(update={"design": found})
    store = EvidenceStore(tmp_path)
    kept = store.get(store.put(evidence))
    assert judge(kept) == judge(evidence)

    assert (clock(lab), _pids(lab), lab.control.get("/score")) == (now, pids, score)
    assert _left_behind(lab) == []
    steps.clear()
    assert trial.trial(lab, "live", ONE_EACH, others, where, note) == found
    assert "measure" not in steps, "what was measured once is measured again"
