"""Every scenario that ships holds by the evidence that was recorded of live labs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archlab.plan.loading import scenario_folder, scenario_names

ASKING = [name for name in scenario_names() if (scenario_folder(name) / "questions.yaml").exists()]
ARCHLAB = str(Path(sys.executable).parent / "archlab")


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKING)
def test_its_questions_hold_by_recorded_evidence(name: str) -> None:
    command = [ARCHLAB, "scenarios", "check", name, "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, check=False)
    assert done.stdout, done.stderr
    said = json.loads(done.stdout)
    assert said["findings"] == []
    assert (done.returncode, said["evidence"]) == (0, "recorded")
