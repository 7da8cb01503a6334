"""Every scenario that ships holds on live labs. Half an hour: `make test-scenarios`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archlab.plan.loading import scenario_folder, scenario_names

ASKING = [name for name in scenario_names() if (scenario_folder(name) / "questions.yaml").exists()]
ARCHLAB = str(Path(sys.executable).parent / "archlab")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]


@pytest.mark.parametrize("name", ASKING)
def test_its_questions_hold(name: str) -> None:
    command = [ARCHLAB, "scenarios", "check", name, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=7000, check=False)
    assert done.stdout, done.stderr
    assert json.loads(done.stdout)["findings"] == []
