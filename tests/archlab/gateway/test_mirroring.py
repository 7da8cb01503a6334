"""Mirrored requests on a real Envoy: what the copy says, and that no caller ever notices it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx
import pytest

from archlab.gateway.admin import Admin
from archlab.gateway.clusters import MAX_MIRRORED, shadow_cluster_name
from archlab.gateway.configuration import GatewayFiles
from archlab.spec.plan import Backend, Plan, Role, Route, Shadow, Unit

from .conftest import running_gateway

if TYPE_CHECKING:
    from tests.archlab.gateway.conftest import Gateway, Load

Until = Callable[[Callable[[], object], str], None]
INFER = "/v2/models/flight-time/infer"
ALL = Shadow(unit="online", replicas=2, percent=100, version="9")


def plan(shadow: Shadow | None, *, canary: int = 0) -> Plan:
    units = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    server = Unit(name="online", role=Role.SERVER, replicas=2, pool="online", serves="onnx")
    backends = [Backend(unit="online", replicas=2, weight=100 - canary)]
    if canary:
        backends.append(Backend(unit="online", replicas=2, weight=canary, version="8"))
    route = Route(model="flight-time", team="operations", backends=tuple(backends), shadow=shadow)
    return Plan(lab="lab", scenario="test", seed=1, units=(*units, server), routes=(route,), reservations=())


@pytest.fixture
def mirroring(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that mirrors every request to version 9."""
    with running_gateway(tmp_path, lambda _: plan(ALL)) as found:
        yield found


def ask(gateway: Gateway, headers: dict[str, str] | None = None, path: str = INFER) -> httpx.Response:
    return httpx.post(gateway.url + path, content=b"{}", headers={**gateway.bearer, **(headers or {})}, timeout=60)


def test_the_copy_names_the_challenger_and_carries_the_id_of_its_original(mirroring: Gateway, until: Until) -> None:
    answer = ask(mirroring, {"x-request-id": "flight-time/UA1/2013"})
    assert "x-archlab-shadow" not in dict(answer.json()["headers"])
    until(mirroring.upstreams.mirrored, "the copy arrives")
    (copy,) = mirroring.upstreams.mirrored()
    assert copy["path"] == INFER
    assert copy["size"] == 2
    assert copy["headers"]["x-archlab-version"] == "9"
    assert copy["headers"]["x-request-id"] == "flight-time/UA1/2013"
    assert copy["headers"]["x-archlab-team"] == "operations"


def test_a_canarys_request_is_mirrored_to_the_challenger_too(mirroring: Gateway, until: Until) -> None:
    mirroring.roll_out(plan(ALL, canary=100))
    assert dict(ask(mirroring).json()["headers"])["x-archlab-version"] == "8"
    assert dict(ask(mirroring, {"x-archlab-version": "1"}).json()["headers"])["x-archlab-version"] == "1"
    until(lambda: len(mirroring.upstreams.mirrored()) == 2, "the copies arrive")
    assert {copy["headers"]["x-archlab-version"] for copy in mirroring.upstreams.mirrored()} == {"9"}


def test_no_caller_can_pose_as_a_copy(mirroring: Gateway) -> None:
    mirroring.roll_out(plan(None))
    answer = ask(mirroring, {"x-archlab-shadow": "true", "host": "somewhere-shadow"})
    assert "x-archlab-shadow" not in dict(answer.json()["headers"])
    assert mirroring.upstreams.mirrored() == []


def test_a_share_is_mirrored(mirroring: Gateway, load: Callable[[Gateway, str], Load], until: Until) -> None:
    mirroring.roll_out(plan(ALL.model_copy(update={"percent": 25})))
    with load(mirroring, INFER) as asking:
        asking.more(600)
    asked, admin = len(asking.answers), Admin(GatewayFiles.of(mirroring.folder).admin)
    until(lambda: not admin.in_flight(shadow_cluster_name("online", 2)), "all copies are answered")
    # a fair coin of 25 % leaves this range about once in a million runs
    spread = 5 * (asked * 0.25 * 0.75) ** 0.5
    assert abs(len(mirroring.upstreams.mirrored()) - 0.25 * asked) < spread
    assert asking.failed == []


def test_failing_copies_hurt_nobody_and_take_no_replica_out(mirroring: Gateway, until: Until) -> None:
    names = {ask(mirroring, {"x-test-shadow-status": "503"}).json()["name"] for _ in range(60)}
    assert names == {"online-0", "online-1"}
    until(lambda: len(mirroring.upstreams.mirrored()) >= 60, "the copies arrive")
    stats = Admin(GatewayFiles.of(mirroring.folder).admin).stats(r"^cluster\.online.*ejections_(active|total)$")
    assert set(stats.values()) <= {"0"}
    assert {ask(mirroring).json()["name"] for _ in range(6)} == {"online-0", "online-1"}


def test_nobody_waits_for_copies_that_hang_and_their_number_is_bounded(mirroring: Gateway) -> None:
    asked = 4 * MAX_MIRRORED
    with httpx.Client(headers={**mirroring.bearer, "x-test-shadow-hangs": "1"}, timeout=60) as client:
        answers = [client.post(mirroring.url + INFER, content=b"{}") for _ in range(asked)]
    admin = Admin(GatewayFiles.of(mirroring.folder).admin)
    assert {answer.status_code for answer in answers} == {200}
    usual_s = median(answer.elapsed.total_seconds() for answer in answers)
    assert usual_s < 2.5, "copies hang until the route's time-out of 5 s, whoever waited for them took as long"
    assert 0 < admin.in_flight(shadow_cluster_name("online", 2)) <= 2 * MAX_MIRRORED
    assert admin.in_flight("online.2") == 0


def test_mirroring_is_switched_under_load_and_a_killed_replica_costs_no_request(
    mirroring: Gateway, load: Callable[[Gateway, str], Load]
) -> None:
    with load(mirroring, INFER) as asking:
        for shadow in (None, ALL, ALL.model_copy(update={"percent": 50}), None, ALL):
            mirroring.roll_out(plan(shadow))
            asking.more(60)
        mirroring.upstreams.kill("online-1")
        asking.more(300)
    assert asking.failed == []
    assert mirroring.upstreams.mirrored()


def test_what_no_route_mirrors_to_is_gone(mirroring: Gateway) -> None:
    def names() -> set[str]:
        return {c["name"] for c in GatewayFiles.of(mirroring.folder).read("cds.json")["resources"]}

    always = {"control", "registry", "online.2", "online.2.grpc"}
    assert names() == {*always, "online.2.shadow", "online.2.grpc.shadow"}
    mirroring.roll_out(plan(None))
    assert names() == always


def test_copies_under_way_when_mirroring_ends_disturb_nothing(mirroring: Gateway, until: Until) -> None:
    def rolled_out_s(shadow: Shadow | None) -> float:
        started = time.monotonic()
        mirroring.roll_out(plan(shadow))
        return time.monotonic() - started

    admin = Admin(GatewayFiles.of(mirroring.folder).admin)
    usual_s = max(rolled_out_s(shadow) for shadow in (None, ALL))
    seen: list[int] = []
    asking = threading.Thread(target=lambda: seen.append(ask(mirroring, {"x-test-shadow-hangs": "1"}).status_code))
    asking.start()
    asking.join(timeout=60)
    until(lambda: admin.in_flight(shadow_cluster_name("online", 2)), "the copy is under way")
    assert rolled_out_s(None) < usual_s + 4.0, "they hang until the route's time-out of 5 s"
    assert seen == [200]
    assert ask(mirroring).status_code == 200
