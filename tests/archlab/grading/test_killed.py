"""kill -9 in the middle of grading, with real processes: no attempt is lost, none counts twice; two labs don't mix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archlab.grading.content import load
from archlab.grading.practice import Practice
from archlab.spec.gradebook import Attempt
from archlab.spec.grading import Verdict
from synthetic import World

SUPPORT = Path(__file__).parents[2] / "support"

ANSWER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from archlab.grading.content import load
from archlab.grading.practice import Practice
from synthetic import World

scenario, lab, seed, stop, *raws = sys.argv[2:]

def collect():
    if stop == "collecting":
        print("here", flush=True)
        sys.stdin.read()
    return World(seed=int(seed)).evidence()

practice = Practice(load(Path(scenario)), Path(lab), collect)
for raw in raws:
    outcome = practice.answer("pick", raw)
    print("here" if stop == "recorded" else outcome.verdict, flush=True)
if stop == "recorded":
    sys.stdin.read()
"""

STOPPING = """
import sys


def pick(evidence, variant):
    print("here", flush=True)
    sys.stdin.read()
"""


def _start(folder: Path, lab: Path, stop: str, *raws: str, seed: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ANSWER, str(SUPPORT), str(folder), str(lab), str(seed), stop, *raws]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stop", ["collecting", "judging", "recorded"])
def test_a_kill_loses_no_attempt_and_counts_none_twice(folder: Path, tmp_path: Path, stop: str) -> None:
    lab = tmp_path / "lab"
    whole = (folder / "truths.py").read_text()
    if stop == "judging":
        (folder / "truths.py").write_text(whole + STOPPING)
    with _start(folder, lab, stop, "left") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.kill()
    (folder / "truths.py").write_text(whole)
    practice = Practice(load(folder), lab, World().evidence)
    assert practice.book.verify().fault == ""
    assert practice.standing("pick").spent == (1 if stop == "recorded" else 0)
    assert practice.answer("pick", "left").verdict is Verdict.INCORRECT
    assert practice.standing("pick").spent == 1
    assert practice.answer("pick", "right").points == 7


def test_labs_graded_at_once_do_not_mix(folder: Path, tmp_path: Path) -> None:
    labs = {seed: tmp_path / f"lab-{seed}" for seed in (1, 2)}
    twice = [seed for seed in labs for _ in range(2)]
    raws = ("left", "up", "down", "right")
    running = [_start(folder, labs[seed], "", *raws, seed=seed) for seed in twice]
    for process in running:
        process.communicate()
    assert [p.returncode for p in running] == [0, 0, 0, 0]
    for seed, lab in labs.items():
        practice = Practice(load(folder), lab, World().evidence)
        attempts = [e for e in practice.book.entries() if isinstance(e, Attempt)]
        assert {a.variant.seed for a in attempts} == {seed}
        assert {practice.store.get(a.evidence).variant.seed for a in attempts} == {seed}
        assert sorted(a.answer for a in attempts) == sorted(raws)
    keys = {Practice(load(folder), lab, World().evidence).book.verify().key for lab in labs.values()}
    assert len(keys) == 2
