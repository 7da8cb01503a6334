"""Changing, killing and refusing, on a real Envoy under load: no request fails."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from archlab.errors import TargetError
from archlab.gateway.admin import Admin
from archlab.gateway.configuration import GatewayFiles, configuration
from archlab.gateway.rollout import roll_out, wait_healthy
from archlab.spec.plan import Backend, Plan, Role, Route, Unit

if TYPE_CHECKING:
    from tests.archlab.gateway.conftest import Gateway, Load

Until = Callable[[Callable[[], object], str], None]
INFER = "/v2/models/flight-time/infer"


def plan(*backends: Backend, replicas: int = 3, limits: dict[str, int] | None = None) -> Plan:
    units = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    server = Unit(name="online", role=Role.SERVER, replicas=replicas, pool="online", serves="onnx")
    route = Route(model="flight-time", team="operations", backends=backends)
    return Plan(
        lab="lab",
        scenario="test",
        seed=1,
        units=(*units, server),
        routes=(route,),
        reservations=(),
        limits=limits or {},
    )


def to(replicas: int, weight: int = 100, version: str = "", unit: str = "online") -> Backend:
    return Backend(unit=unit, replicas=replicas, weight=weight, version=version)


def test_a_killed_replica_costs_no_request(
    own_gateway: Gateway, load: Callable[[Gateway, str], Load], until: Until
) -> None:
    with load(own_gateway, INFER) as asking:
        asking.more(200)
        own_gateway.upstreams.kill("online-0")
        asking.more(600)
        own_gateway.upstreams.start("online-0")
        before = len(asking.answers)
        until(lambda: "online-0" in {name for _, name in asking.answers[before:]}, "online-0 is asked again")
    assert asking.failed == []


def test_health_is_waited_for_as_envoy_sees_it(own_gateway: Gateway, until: Until) -> None:
    files = GatewayFiles.of(own_gateway.folder)
    jwks = (own_gateway.folder.keys / "jwks.json").read_text()
    config = configuration(plan(to(2)), own_gateway.folder, own_gateway.port, jwks)
    wait_healthy(config, files)
    own_gateway.upstreams.unwell("online-1").touch()
    until(Admin(files.admin).ailing, "Envoy notices")
    with pytest.raises(TargetError, match=r"finds online\.2.* unhealthy"):
        wait_healthy(config, files, patience_s=0.1)
    own_gateway.upstreams.unwell("online-1").unlink()
    wait_healthy(config, files)
    assert Admin(files.admin).ailing() == set()
    assert {own_gateway.get(INFER).json()["name"] for _ in range(4)} == {"online-0", "online-1"}


def test_a_replica_that_stops_properly_costs_no_request(
    own_gateway: Gateway, load: Callable[[Gateway, str], Load]
) -> None:
    with load(own_gateway, INFER) as asking:
        asking.more(200)
        own_gateway.upstreams.stop("online-1")
        asking.more(400)
    assert asking.failed == []


def test_an_unwell_replica_gets_no_requests(
    own_gateway: Gateway, load: Callable[[Gateway, str], Load], until: Until
) -> None:
    own_gateway.upstreams.unwell("online-0").touch()
    with load(own_gateway, INFER) as asking:
        until(lambda: {name for _, name in asking.answers[-100:]} == {"online-1"}, "only online-1 answers")
        asking.more(100)
    assert asking.failed == []


def test_a_frozen_replica_costs_no_request(own_gateway: Gateway, load: Callable[[Gateway, str], Load]) -> None:
    frozen = own_gateway.upstreams.running["online-0"]
    with load(own_gateway, INFER) as asking:
        asking.more(100)
        frozen.send_signal(signal.SIGSTOP)
        try:
            asking.more(300)
        finally:
            frozen.send_signal(signal.SIGCONT)
    assert asking.failed == []


def test_routes_change_under_load_without_a_failed_request(
    own_gateway: Gateway, load: Callable[[Gateway, str], Load]
) -> None:
    changes = [
        plan(to(3)),
        plan(to(1)),
        plan(to(2, 50), to(2, 50, "9")),
        plan(to(3, 100, "9")),
        plan(to(2), limits={"operations": 50_000}),
    ]
    with load(own_gateway, INFER) as asking:
        for change in changes:
            own_gateway.roll_out(change)
            asking.more(60)
    assert asking.failed == []
    assert {name for _, name in asking.answers} == {"online-0", "online-1", "online-2"}


def test_a_new_replica_is_asked_only_when_ready_and_an_old_one_no_more(
    own_gateway: Gateway, load: Callable[[Gateway, str], Load]
) -> None:
    with load(own_gateway, INFER) as asking:
        own_gateway.upstreams.start("online-3")
        own_gateway.roll_out(plan(to(4), replicas=4))
        asking.more(100)
        assert "online-3" in {name for _, name in asking.answers}
        own_gateway.roll_out(plan(to(2), replicas=3))
        own_gateway.upstreams.kill("online-3")
        start = len(asking.answers)
        asking.more(100)
        assert {name for _, name in asking.answers[start + 4 :]} <= {"online-0", "online-1"}
    assert asking.failed == []


def test_what_no_route_names_is_gone_and_a_second_time_changes_nothing(own_gateway: Gateway) -> None:
    files = GatewayFiles.of(own_gateway.folder)
    own_gateway.roll_out(plan(to(1)))
    names = {c["name"] for c in files.read("cds.json")["resources"]}
    assert names == {"control", "registry", "online.1", "online.1.grpc", "online.3", "online.3.grpc"}
    stamps = {p.name: p.stat().st_mtime_ns for p in files.folder.iterdir()}
    own_gateway.roll_out(plan(to(1)))
    assert {p.name: p.stat().st_mtime_ns for p in files.folder.iterdir()} == stamps


def test_another_port_is_taken_over(own_gateway: Gateway, until: Until) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own_gateway.port = int(probe.getsockname()[1])
    own_gateway.roll_out(plan(to(2)))
    assert own_gateway.get(INFER).status_code == 200


def test_a_refused_configuration_is_an_error_and_changes_no_traffic(own_gateway: Gateway) -> None:
    files = GatewayFiles.of(own_gateway.folder)
    jwks = (own_gateway.folder.keys / "jwks.json").read_text()
    broken = configuration(plan(to(2)), own_gateway.folder, own_gateway.port, '{"keys": "none"}')
    with pytest.raises(TargetError, match=r"refuses.*lds\.json"):
        roll_out(broken, files)
    assert own_gateway.get(INFER).status_code == 200
    roll_out(configuration(plan(to(1)), own_gateway.folder, own_gateway.port, jwks), files)
    assert {own_gateway.get(INFER).json()["name"] for _ in range(8)} == {"online-0"}


def test_a_gateway_that_is_gone_is_an_error(own_gateway: Gateway) -> None:
    own_gateway.process.kill()
    own_gateway.process.wait()
    jwks = (own_gateway.folder.keys / "jwks.json").read_text()
    config = configuration(plan(to(1)), own_gateway.folder, own_gateway.port, jwks)
    with pytest.raises(TargetError, match="does not answer"):
        roll_out(config, GatewayFiles.of(own_gateway.folder), patience_s=0.2)


def test_requests_in_flight_end_before_their_cluster_goes(own_gateway: Gateway, until: Until) -> None:
    import threading

    seen: list[int] = []
    slow = threading.Thread(
        target=lambda: seen.append(own_gateway.get(INFER, {"x-test-slow": "1.5"}).status_code), daemon=True
    )
    admin = Admin(GatewayFiles.of(own_gateway.folder).admin)
    slow.start()
    until(lambda: admin.in_flight("online.2"), "the slow request is under way")
    own_gateway.roll_out(plan(to(1)))
    slow.join(timeout=60)
    assert seen == [200]


def test_the_log_goes_on_in_a_new_file(own_gateway: Gateway, until: Until) -> None:
    files = GatewayFiles.of(own_gateway.folder)
    own_gateway.get(INFER)
    until(lambda: files.access_log.stat().st_size, "the log is written")
    files.access_log.rename(files.access_log.with_suffix(".1"))
    Admin(files.admin).reopen_logs()
    own_gateway.get(INFER, {"x-request-id": "after"})
    until(lambda: files.access_log.exists() and "after" in files.access_log.read_text(), "the new log is written")
    assert json.loads(files.access_log.read_text().splitlines()[-1])["status"] == 200
