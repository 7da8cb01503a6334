"""A gateway pod's agent: it writes down who answers in every namespace that the plan has servers in."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archlab.errors import RefusedError
from archlab.gateway.agent import Agent
from archlab.gateway.sites import Names
from archlab.incluster import EndpointSlices, Pod, Services
from archlab.settings import LabFolder
from archlab_serving.sidecar import Control, Mirror, Settings

UNITS = {"online": "platform", "revenue": "revenue"}


@dataclass
class Cluster:
    """Pods by team and service; teams whose namespace may not be looked into; what changed."""

    pods: dict[str, dict[str, tuple[Pod, ...]]]
    closed: set[str] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def put(self, team: str, **services: tuple[Pod, ...]) -> None:
        with self.changed:
            self.pods[team] = services
            self.changed.notify_all()


class Slices(EndpointSlices):
    """EndpointSlices of one namespace of that cluster."""

    def __init__(self, cluster: Cluster, team: str) -> None:
        self.cluster, self.team = cluster, team

    def services(self) -> tuple[Services, str]:
        if self.team in self.cluster.closed:
            raise RefusedError(f"403 for {self.team}")
        return self.cluster.pods.get(self.team, {}), "1"

    def changes(self, version: str) -> Iterator[None]:
        with self.cluster.changed:
            if self.cluster.changed.wait(0.2):
                yield None


@pytest.fixture
def cluster() -> Cluster:
    return Cluster({"platform": {"online": (Pod("a", "10.0.0.1"),)}, "revenue": {"revenue": (Pod("b", "10.0.0.2"),)}})


@pytest.fixture
def agent(cluster: Cluster, tmp_path: Path) -> Agent:
    settings = Settings(
        control="http://127.0.0.1:1",
        token=tmp_path / "token",
        kind="gateway",
        unit="",
        replica="gateway-1",
        folder=tmp_path,
        log=None,
    )
    site = Names(tmp_path / "endpoints", tmp_path / "log")
    slices: Callable[[str], EndpointSlices] = lambda team: Slices(cluster, team)  # noqa: E731
    return Agent(LabFolder(tmp_path), Mirror(settings, Control(settings)), site, slices, UNITS)


def hosts(agent: Agent, unit: str) -> list[str]:
    """As Envoy reads them."""
    document = json.loads((agent.site.endpoints / f"{unit}.json").read_text())
    found: list[Mapping[str, str]] = [
        entry["endpoint"]["address"]["socket_address"]
        for group in document["resources"][0]["endpoints"]
        for entry in group["lb_endpoints"]
    ]
    return [address["address"] for address in found]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_units_pods_are_those_of_its_teams_namespace(agent: Agent, cluster: Cluster) -> None:
    cluster.put("revenue", revenue=(Pod("b", "10.0.0.2"),), online=(Pod("impostor", "10.6.6.6"),))
    for team in agent.teams:
        agent.list_pods(team)
    assert (hosts(agent, "online"), hosts(agent, "revenue")) == (["10.0.0.1"], ["10.0.0.2"])


def test_a_disk_that_was_full_for_a_moment_ends_no_following(agent: Agent, cluster: Cluster) -> None:
    agent.site.endpoints.parent.mkdir(exist_ok=True)
    agent.site.endpoints.write_text("no folder: nothing can be written below it")
    stop = threading.Event()
    threading.Thread(target=agent.follow_pods, args=(stop,), daemon=True).start()
    try:
        until(lambda: agent._watched == {"platform", "revenue"})
        with cluster.changed:
            cluster.changed.wait(0.3)
        agent.site.endpoints.unlink()
        until(lambda: (agent.site.endpoints / "online.json").exists() and hosts(agent, "online") == ["10.0.0.1"])
        until(lambda: hosts(agent, "revenue") == ["10.0.0.2"])
        assert hosts(agent, "online") == ["10.0.0.1"], "both are followed by the threads that met the full disk"
    finally:
        stop.set()


def test_every_namespace_is_followed_and_one_that_is_closed_holds_up_no_other(agent: Agent, cluster: Cluster) -> None:
    cluster.closed.add("revenue")
    stop = threading.Event()
    threading.Thread(target=agent.follow_pods, args=(stop,), daemon=True).start()
    try:
        until(lambda: (agent.site.endpoints / "online.json").exists() and hosts(agent, "online") == ["10.0.0.1"])
        cluster.put("platform", online=(Pod("a", "10.0.0.1"), Pod("c", "10.0.0.3")))
        until(lambda: hosts(agent, "online") == ["10.0.0.1", "10.0.0.3"])
        assert hosts(agent, "revenue") == []
        cluster.closed.clear()
        until(lambda: hosts(agent, "revenue") == ["10.0.0.2"])
    finally:
        stop.set()


def test_a_team_that_left_is_followed_no_longer_and_again_when_it_is_back(agent: Agent, cluster: Cluster) -> None:
    stop = threading.Event()
    threading.Thread(target=agent.follow_pods, args=(stop,), daemon=True).start()
    try:
        until(lambda: (agent.site.endpoints / "revenue.json").exists() and hosts(agent, "revenue") == ["10.0.0.2"])
        agent.units = {"online": "platform"}
        until(lambda: "revenue" not in agent._watched)
        cluster.put("revenue", revenue=(Pod("d", "10.0.0.4"),))
        assert hosts(agent, "revenue") == ["10.0.0.2"], "what happened there since is not known"
        agent.units = UNITS
        until(lambda: hosts(agent, "revenue") == ["10.0.0.4"])
    finally:
        stop.set()
