"""Sweeps on a real lab: a backtest says what the lab itself answered."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.lab import Lab
from archlab.spec.job import Job
from harness import Cli

pytestmark = [pytest.mark.lab, pytest.mark.slow]


@pytest.mark.parametrize(("model", "view"), [("flight-time", "corridor"), ("departure-delay", "origin_ops")])
def test_at_the_declared_schedule_a_backtest_has_the_quality_that_the_lab_measured(
    replayed: Lab, model: str, view: str
) -> None:
    (day,) = replayed.control.get("/score/daily")
    measured = next(row for row in day["models"] if row["model"] == model)
    every = next(f.every for f in replayed.resolved.features if f.view == view)
    args = (model, view, "--until", day["until"], "--days", "1", "--every", str(int(every.total_seconds())))
    found = replayed.target.run(Job(name="backtest", module="archlab.pipelines.backtest", args=args), _ignore).result
    assert found["points"][0]["quality"]["value"] == pytest.approx(measured["quality"], abs=1e-6)
    assert found["answers"] == measured["labelled"]


def test_a_sweep_is_recorded_and_part_of_the_evidence(cli: Cli, replayed: Lab) -> None:
    from archlab.lab.evidence import collect

    swept = cli.json("sweep", "materialisation", "flight-time", "corridor", "--every", "1h,1d", "--days", "7")
    assert [p["settings"]["every_s"] for p in swept["points"]] == [3_600, 86_400]
    hourly, daily = (p["measures"] for p in swept["points"])
    assert hourly["difference"]["value"] == 0
    assert daily["difference"]["value"] > 0
    assert hourly["usd_per_day"]["value"] == pytest.approx(24 * daily["usd_per_day"]["value"])
    assert [s.model for s in collect(replayed).sweeps] == ["flight-time"]
    assert "no feature view" in cli.run("sweep", "materialisation", "flight-time", "moon").stderr
    assert "does not read" in cli.run("sweep", "materialisation", "flight-time", "aircraft_state").stderr


@pytest.fixture(scope="module")
def replayed(cli: Cli, lab: Lab) -> Lab:
    """One business day after the scenario's start, as declared."""
    cli.ok("reset")
    cli.ok("clock", "advance", "1d")
    return lab


def _ignore(_event: dict[str, Any]) -> None:
    """Progress that nobody watches."""
