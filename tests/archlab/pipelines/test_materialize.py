from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from archlab import settings
from archlab.errors import UsageError
from archlab.pipelines.materialize import schedules
from archlab.plan.loading import load_scenario
from archlab.settings import LabFolder
from archlab.spec.release import ViewSnapshot

SPAN = ["--from", "2013-11-04T08:00:00+00:00", "--to", "2013-11-04T09:30:00Z"]


@pytest.fixture(scope="module")
def lab(data: Path, tmp_path_factory: pytest.TempPathFactory) -> LabFolder:
    """A lab's folder with the real scenario and the real data."""
    root = tmp_path_factory.mktemp("home") / "lab"
    root.mkdir()
    (root.parent / "cache").symlink_to(settings.home() / "cache")
    scenario = load_scenario(settings.scenarios_root() / "ten_models" / "scenario.yaml")
    (root / "scenario.json").write_text(scenario.model_dump_json())
    return LabFolder(root)


def job(lab: LabFolder, *arguments: str, zone: str = "UTC") -> tuple[int, list[dict[str, Any]]]:
    ran = subprocess.run(
        [sys.executable, "-m", "archlab.pipelines.materialize", *arguments],
        env={**os.environ, "ARCHLAB_LAB": str(lab.root), "TZ": zone},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.slow
def test_one_line_per_tick_whose_files_exist(lab: LabFolder) -> None:
    code, lines = job(lab, *SPAN, "--every", "origin_ops=1800", "--every", "weather=3600,corridor=3600")
    assert code == 0
    assert lines.pop()["result"] == {"ticks": 3}
    assert [line["tick"][11:16] for line in lines] == ["08:00", "08:30", "09:00"]
    assert [sorted(view["view"] for view in line["views"]) for line in lines] == [
        ["corridor", "origin_ops", "weather"],
        ["origin_ops"],
        ["corridor", "origin_ops", "weather"],
    ]
    for line in lines:
        for view in map(ViewSnapshot.model_validate, line["views"]):
            assert (lab.snapshots / view.path).is_file()
            assert view.view in line["cpu_ms"]
    code, again = job(lab, *SPAN, "--every", "origin_ops=1800,weather=3600,corridor=3600", zone="America/New_York")
    assert code == 0
    assert [line["views"] for line in again[:-1]] == [line["views"] for line in lines]


@pytest.mark.slow
def test_a_wrong_schedule_is_one_message(lab: LabFolder) -> None:
    code, (said,) = job(lab, *SPAN, "--every", "wether=60")
    assert code == 2
    assert said["error"] == "--every 'wether=60' is not VIEW=SECONDS."


def test_schedules_are_read_and_checked() -> None:
    assert schedules(["weather=3600,corridor=60", "origin_ops=1800"]) == {
        "weather": timedelta(hours=1),
        "corridor": timedelta(minutes=1),
        "origin_ops": timedelta(minutes=30),
    }
    for wrong in ("weather", "weather=", "weather=0", "wether=60", "weather=-5"):
        with pytest.raises(UsageError, match="is not VIEW=SECONDS"):
            schedules([wrong])
