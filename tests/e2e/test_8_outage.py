"""Units of the control plane are really stopped: answers go on, changes do not, and the lab is whole afterwards."""

from __future__ import annotations

import json

import pytest

from harness import Cli
from synthetic import TRIED, WENT_ON

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("unit", ["control", "registry"])
def test_what_goes_on_without_a_unit(cli: Cli, unit: str) -> None:
    done = cli.run("outage", unit, "--json")
    assert done.returncode == 0, done.stderr
    probes = {p["key"]: (p["succeeded"], p["tried"]) for p in json.loads(done.stdout)["probes"]}
    assert tuple(probes) == TRIED
    assert {key for key, (worked, tried) in probes.items() if worked == tried} == set(WENT_ON[unit])
    assert all(worked == 0 for key, (worked, _) in probes.items() if key not in WENT_ON[unit])
    assert cli.run("status").returncode == 0
    assert cli.run("clock", "show").returncode == 0


def test_the_data_plane_is_not_stopped_here(cli: Cli) -> None:
    done = cli.run("outage", "gateway")
    assert done.returncode == 1
    assert "control, registry" in done.stderr
