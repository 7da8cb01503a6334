"""A pool's pods follow its load, and go again; callers notice nothing, the bill counts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from archlab.lab import Lab
from callers import callers, enough
from harness import Cli
from kube_objects import until
from lab_pods import objects

MODEL, LEAST, MOST = "departure-delay", 2, 4
MILLICORES = 500
"""That the model reserves per replica."""


@pytest.fixture
def fixed_again(cli: Cli, lab: Lab) -> Iterator[None]:
    yield
    cli.ok("autoscale", "online", "off")
    assert wanted() == LEAST


def wanted() -> int:
    """Replicas that the pool's Deployment should have now."""
    return next(int(d["spec"]["replicas"]) for d in objects("deployments") if d["metadata"]["name"] == "online")


def ready(count: int) -> Callable[[], bool]:
    """Whether so many pods of the pool answer."""
    return lambda: sum(bool(_answers(pod)) for pod in objects("pods", "-l", "archlab.dev/unit=online")) == count


def _answers(pod: dict[str, Any]) -> bool:
    conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def scaling(cli: Cli) -> dict[str, Any]:
    (found,) = cli.json("status")["scaling"]
    return dict(found)


def test_on_requests_under_way_more_pods_come_are_paid_for_and_go(cli: Cli, lab: Lab, fixed_again: None) -> None:
    with callers(lab, MODEL) as seen:
        enough(seen, 100)
        cli.ok("autoscale", "online", "concurrency", "--max", "4", "--target", "0.02", "--settle", "10")
        until(ready(MOST), "four pods")
        now = cli.json("clock", "show")["now"]
        cli.ok("clock", "advance", "30m", timeout_s=200)
        enough(seen, 100)
        shown = scaling(cli)
        cli.ok("up", "ten-models")
        assert wanted() == MOST, "an upgrade of the release takes no pod away"
    until(ready(LEAST), "two pods again", 90)
    assert set(seen) == {200}, seen
    assert (shown["by"], shown["replicas"], shown["min_replicas"]) == ("archlab control", MOST, LEAST)
    assert "requests under way per pod, target 0.02" in shown["events"][-1]["why"]
    lines = [line for line in lab.control.get("/lines") if (line["model"], line["start"]) == (MODEL, now)]
    held = sum(line["quantity"] for line in lines if line["resource"] == "online_cpu")
    assert held == MOST * MILLICORES * 30 * 60, "every pod that was there is on the bill"
    assert cli.json("cost")["agrees"]


def test_on_processor_time_an_autoscaler_of_the_cluster_does_it(cli: Cli, lab: Lab, fixed_again: None) -> None:
    with callers(lab, MODEL) as seen:
        enough(seen, 100)
        cli.ok("autoscale", "online", "cpu", "--max", "4", "--target", "40", "--settle", "10")
        until(lambda: wanted() > LEAST, "more pods", 120)
        until(ready(wanted()), "that they answer")
        enough(seen, 100)
        shown = scaling(cli)
    assert set(seen) == {200}, seen
    assert (shown["by"], shown["target_milli"]) == ("HorizontalPodAutoscaler", 40)
    assert shown["value_milli"] is not None
    assert "above target" in shown["events"][-1]["why"]
