"""Regions behind agents, over real HTTP: the same drill as on one machine, and what an agent refuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from archlab.drills import faults, front, local
from archlab.drills.agent import acts, create_app
from archlab.drills.calls import PATH, TOKEN, Call, Reply
from archlab.drills.failover import failback, failover
from archlab.drills.local import LocalRegion
from archlab.drills.region import REGIONS, Region, Strike
from archlab.drills.remote import RemoteRegion
from archlab.drills.restoring import restore_before_mistake
from archlab.drills.running import Running
from archlab.drills.testbed import Testbed, current
from archlab.errors import ArchlabError, ConflictError, NotFoundError, TargetError, UnavailableError
from archlab.recovery.shaping import Shape
from archlab.settings import LabFolder
from archlab.spec.drill import Posture
from archlab.spec.plan import Progress
from gated_registry import wait_for

pytestmark = pytest.mark.slow
SECRET = "a token of the test's own"


class HttpAgent:
    """The way to an agent on this machine."""

    def __init__(self, base: str, token: str = SECRET) -> None:
        self.base, self.token = base, token

    def call(self, what: str, within_s: float, **arguments: Any) -> Any:
        body = Call(what=what, arguments=arguments).model_dump_json()
        try:
            answer = httpx.post(f"{self.base}{PATH}", content=body, headers={TOKEN: self.token}, timeout=within_s)
        except httpx.HTTPError as error:
            raise UnavailableError(f"{self.base} does not answer: {error}.") from None
        return Reply.model_validate_json(answer.raise_for_status().content).unpack()


class Machine:
    """What a region here runs on: an agent that can be lost, as a pod can."""

    def __init__(self, region: LocalRegion) -> None:
        self.region, self.lost = region, False
        self.server: uvicorn.Server | None = None
        self.agent = HttpAgent(self.start())

    def start(self) -> str:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        made = uvicorn.Server(uvicorn.Config(create_app(self.region, SECRET), port=port, log_level="warning"))
        self.thread = threading.Thread(target=made.run, daemon=True)
        self.thread.start()
        wait_for(lambda: made.started, "the agent")
        self.server = made
        return f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """Everything in it dies, and the agent too."""
        self.lost = True
        if self.server:
            self.server.should_exit = True
            self.thread.join()
            self.server = None
        self.region.kill()
        self.region.running.end(self.region.line)

    def strike(self) -> Strike:
        return Strike("the machine is gone", self.stop)

    def fence(self, _reason: str) -> None:
        self.stop()

    def revive(self) -> bool:
        if self.lost:
            self.agent.base, self.lost = self.start(), False
            return True
        return False


class Here:
    """A site whose regions are behind agents on this machine."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder, self.running = folder, Running(folder)
        self.ground = local.lay_out(folder, self.running)
        self.machines: list[Machine] = []
        self.regions: dict[str, Region] = {}
        for name in REGIONS:
            self.machines.append(machine := Machine(self.ground.regions[name]))
            self.regions[name] = RemoteRegion(name, machine.agent, machine)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.ground.gateway_port}"

    def open(self, _progress: Progress) -> None:
        sockets = [self.folder.socket(f"service-{name}") for name in REGIONS]
        admin = self.folder.socket("envoy-admin")
        config = front.command(self.folder.root / "envoy.json", self.ground.gateway_port, admin, sockets)
        self.running.start("gateway", config)

    def close(self) -> None:
        for machine in self.machines:
            machine.stop()
        self.running.end_all()

    def words(self) -> tuple[str, ...]:
        return self.running.words("gateway")


@contextmanager
def regions_behind_agents(home: Path, posture: Posture) -> Iterator[Testbed]:
    folder = LabFolder(home / "testbed")
    site = Here(folder)
    testbed = Testbed.elsewhere(folder.root, posture, site.regions, site)
    try:
        testbed.up(lambda *_: None)
        yield testbed
    finally:
        testbed.down()


def written(testbed: Testbed) -> list[int]:
    found: list[int] = httpx.get(f"{testbed.base}/writes").json()["numbers"]
    return [number for number in found if number < 1000]


def test_a_region_behind_an_agent_is_killed_replaced_and_brought_back(home: Path) -> None:
    with regions_behind_agents(home, Posture(latency_ms=2)) as testbed:
        for number in range(20):
            httpx.put(f"{testbed.base}/writes/{number}").raise_for_status()
        east = testbed.regions["east"]
        assert east.says() == "its database takes writes"
        with current(testbed):
            faults.kill_region("east")
        assert testbed.faults[0].detail == "the machine is gone"
        assert east.says() == "nothing there answers"
        assert not east.server.accepting
        assert [done.step for done in failover(testbed)] == ["assess", "fence", "promote"]
        wait_for(testbed.answers, "writes in west", timeout_s=10)
        httpx.put(f"{testbed.base}/writes/20").raise_for_status()
        assert [done.step for done in failback(testbed)] == ["heal", "rejoin", "switch over", "pair"]
        wait_for(testbed.answers, "writes in east", timeout_s=10)
        assert (testbed.primary, east.says()) == ("east", "its database takes writes")
        assert written(testbed) == list(range(21))


def test_a_mistake_is_undone_by_the_agent_from_a_backup_that_was_verified(home: Path) -> None:
    with regions_behind_agents(home, Posture(latency_ms=2, verify_backups=True)) as testbed, current(testbed):
        for number in range(20):
            httpx.put(f"{testbed.base}/writes/{number}").raise_for_status()
        name = faults.back_up()
        assert faults.verify_backups() == [f"{name} restores"]
        httpx.put(f"{testbed.base}/writes/20").raise_for_status()
        assert faults.delete_by_mistake() == 12, "eleven, and the one by which the platform checks itself"
        assert written(testbed) == list(range(1, 20, 2))
        done = restore_before_mistake(testbed)
        assert next(d for d in done if d.step == "open a backup").said.endswith(", verified")
        assert written(testbed) == list(range(21))


def test_an_agent_hears_nobody_without_its_token_and_says_what_it_does(home: Path) -> None:
    folder = LabFolder(home / "testbed")
    region = local.lay_out(folder, Running(folder)).regions["east"]
    machine = Machine(region)
    try:
        for token in ("", "another"):
            with pytest.raises(httpx.HTTPStatusError, match="401"):
                HttpAgent(machine.agent.base, token).call("says", 5)
        with pytest.raises(NotFoundError, match="does not do 'format'") as refused:
            machine.agent.call("format", 5)
        assert "start_database" in refused.value.remedy
        assert httpx.post(f"{machine.agent.base}{PATH}", content="no call", headers={TOKEN: SECRET}).status_code == 422
        machine.agent.call("fence_database", 5, reason="a test")
        with pytest.raises(ConflictError, match="east is fenced: a test"):
            machine.agent.call("start_database", 5)
        machine.agent.call("lower_fence", 5)
        with pytest.raises(TargetError) as failed:
            machine.agent.call("start_database", 30)
        assert failed.value.log_tail, "what Postgres said last is told from afar, too"
        with pytest.raises(UnavailableError, match="Postgres of east"):
            machine.agent.call("ask", 5, sql="SELECT 1", timeout_s=1, values={})
    finally:
        machine.stop()


def test_whatever_a_drill_asks_of_a_region_the_agent_does(home: Path) -> None:
    folder = LabFolder(home / "testbed")
    region = local.lay_out(folder, Running(folder)).regions["east"]
    asked: list[str] = []

    class Listening:
        def call(self, what: str, within_s: float, **arguments: Any) -> Any:
            asked.append(what)
            raise UnavailableError("It only listens.")

    remote = RemoteRegion("east", Listening(), Machine.__new__(Machine))
    for act in (
        *(remote.open_line, remote.await_line, remote.create, remote.copy, remote.configure, remote.start_database),
        *(remote.stop_database, remote.leave, remote.follow_again, remote.start_service, remote.end_service),
        *(remote.lower_fence, remote.says, remote.aim_at_database().act, remote.aim_to_hang().act),
        *(lambda: remote.fence_database("x"), lambda: remote.words("x"), lambda: remote.shape(Shape())),
        *(remote.kept.all, remote.kept.take, remote.kept.spoil, remote.kept.verify, remote.kept.open),
        *(remote.kept.archive_now, lambda: remote.kept.prune(1), remote.server.last_words),
        *(lambda: remote.server.ask("SELECT 1"),),
    ):
        try:
            act()
        except ArchlabError:
            continue
    assert set(asked) | {"kept.restore"} == set(acts(region)), "each is known, and none is left over"
