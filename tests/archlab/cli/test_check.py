"""`archlab scenarios check` by recorded evidence: exit codes, JSON, findings that name what to mend."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from authoring import RECORDED, build

ARCHLAB = str(Path(sys.executable).parent / "archlab")


@pytest.fixture
def scenarios(tmp_path: Path) -> Path:
    """A folder with the guide's scenario and what labs showed of it."""
    folder = build(tmp_path / "scenarios")
    shutil.copytree(RECORDED, folder / "solution" / "recorded")
    return folder.parent


def _check(scenarios: Path, *args: str, name: str = "two-models") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "ARCHLAB_SCENARIOS": str(scenarios), "ARCHLAB_HOME": str(scenarios / "home"), "NO_COLOR": "1"}
    command = [ARCHLAB, "scenarios", "check", name, *args]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def _json(done: subprocess.CompletedProcess[str]) -> Any:
    return json.loads(done.stdout)


def _spoil(scenarios: Path, file: str, old: str, new: str) -> None:
    path = scenarios / "two_models" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_guides_scenario_holds_by_recorded_evidence(scenarios: Path) -> None:
    done = _check(scenarios, "--quick")
    assert (done.returncode, done.stdout) == (0, "3 questions hold, by recorded evidence of seeds 1, 5.\n"), done.stderr
    assert "prove" in done.stderr
    assert not (scenarios / "home" / "checks").exists()


def test_a_broken_truth_ends_with_1_and_names_question_expected_and_found(scenarios: Path) -> None:
    _spoil(scenarios, "truths.py", "runs = max(1, -(-DAY // model.caller.max_age))", "runs = 0")
    done = _check(scenarios, "--quick")
    assert done.returncode == 1
    assert "move-first  solution" in done.stdout
    assert "expected  full for the reference solution" in done.stdout
    assert "found     " in done.stdout
    assert "findings on 1 of 3 questions" in done.stdout


def test_json_for_programs(scenarios: Path) -> None:
    _spoil(scenarios, "solution/solutions.py", "return low", "return 2 * low")
    done = _check(scenarios, "--quick", "--json", "--question", "grow-to")
    assert done.returncode == 1
    said = _json(done)
    assert (said["evidence"], said["seeds"], said["questions"]) == ("recorded", [1, 5], ["grow-to"])
    (finding,) = said["findings"]
    assert (finding["question"], finding["check"]) == ("grow-to", "solution")
    assert "the truth says" in finding["found"]


def test_a_changed_script_is_not_proven_by_an_old_recording(scenarios: Path) -> None:
    _spoil(scenarios, "solution/solutions.py", "batch-every 1h", "batch-every 2h")
    done = _check(scenarios, "--quick", "--json")
    assert [(f["question"], f["check"]) for f in _json(done)["findings"]] == [("moved", "recording")]


def test_without_a_recording_it_says_how_to_make_one(scenarios: Path) -> None:
    shutil.rmtree(scenarios / "two_models" / "solution" / "recorded")
    done = _check(scenarios, "--quick")
    assert done.returncode == 1
    assert "archlab scenarios check two-models --record" in done.stderr


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--quick", "--question", "growto"), 1, "Did you mean grow-to"),
        (("--quick", "--record"), 2, "--quick reads what was recorded"),
        (("--record", "--question", "grow-to"), 2, "Only a whole check can be recorded"),
        (("--seeds", "1"), 2, "One seed can't show"),
        (("--seeds", "one,two"), 2, "no list of seeds"),
    ],
)
def test_what_cannot_be_done_is_said(scenarios: Path, args: tuple[str, ...], code: int, said: str) -> None:
    done = _check(scenarios, *args)
    assert done.returncode == code
    assert said in done.stderr


def test_a_fault_in_a_file_is_named_with_its_line(scenarios: Path) -> None:
    _spoil(scenarios, "questions.yaml", "points: 10\n    minutes: 8", "points: ten\n    minutes: 8")
    lines = (scenarios / "two_models" / "questions.yaml").read_text().splitlines()
    done = _check(scenarios, "--quick")
    assert done.returncode == 1
    assert f"questions.yaml:{lines.index('    points: ten') + 1}: questions.grow-to.points" in done.stderr
