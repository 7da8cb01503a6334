"""The configuration as data, and Envoy's own opinion of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from archlab import identity
from archlab.errors import UserError
from archlab.gateway.configuration import GatewayFiles, configuration, write
from archlab.gateway.program import VARIABLE, envoy_program
from archlab.settings import LabFolder
from archlab.spec.plan import Backend, Plan, Role, Route, Unit


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    found = LabFolder(tmp_path / "lab")
    found.log.mkdir(parents=True)
    identity.create_keys(found)
    return found


def plan(*routes: Route) -> Plan:
    units = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    pools = [
        Unit(name="lookup", role=Role.SERVER, replicas=1, pool="lookup", serves="table"),
        Unit(name="online", role=Role.SERVER, replicas=3, pool="online", serves="onnx"),
    ]
    return Plan(
        lab="lab",
        scenario="test",
        seed=1,
        units=(*units, *pools),
        routes=routes,
        reservations=(),
        limits={"operations": 10, "revenue": 2000},
    )


FLIGHT_TIME = Route(model="flight-time", team="operations", backends=(Backend(unit="online", replicas=2, weight=100),))
CANARY = Route(
    model="canary",
    team="operations",
    backends=(
        Backend(unit="online", replicas=3, weight=90),
        Backend(unit="online", replicas=3, weight=10, version="4"),
    ),
)
TABLE = Route(model="segments", team="revenue", backends=(Backend(unit="lookup", replicas=1, weight=100),))


def made(folder: LabFolder, *routes: Route, port: int = 8080) -> dict[str, Any]:
    config = configuration(plan(*routes), folder, port, (folder.keys / "jwks.json").read_text())
    return {name: json.loads(text) for name, text in config.documents().items()}


def test_envoy_accepts_the_whole_configuration(folder: LabFolder, tmp_path: Path) -> None:
    """`--mode validate` looks at static resources only, so all are put into one file for it."""
    documents = made(folder, FLIGHT_TIME, CANARY, TABLE)
    (listener,) = documents["lds.json"]["resources"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = {**documents["rds.json"]["resources"][0], "validate_clusters": True}
    del manager["route_config"]["@type"]
    static = {"listeners": [_untyped(listener)], "clusters": [_untyped(c) for c in documents["cds.json"]["resources"]]}
    path = tmp_path / "static.json"
    path.write_text(json.dumps({"static_resources": static}))
    for config in (path, _written(folder)):
        done = subprocess.run(
            [envoy_program(), "--mode", "validate", "-c", config], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr


def _untyped(message: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in message.items() if k != "@type"}


def _written(folder: LabFolder) -> Path:
    config = configuration(plan(FLIGHT_TIME), folder, 8080, (folder.keys / "jwks.json").read_text())
    write(config, GatewayFiles.of(folder))
    return GatewayFiles.of(folder).bootstrap


def test_files_are_replaced_only_when_they_change(folder: LabFolder) -> None:
    files, jwks = GatewayFiles.of(folder), (folder.keys / "jwks.json").read_text()
    first = configuration(plan(FLIGHT_TIME), folder, 8080, jwks)
    assert write(first, files) == {"bootstrap.json", "cds.json", "rds.json", "lds.json"}
    assert write(first, files) == frozenset()
    more = configuration(plan(FLIGHT_TIME, TABLE), folder, 8080, jwks)
    assert write(more, files) == {"rds.json"}
    assert write(configuration(plan(FLIGHT_TIME, TABLE), folder, 8081, jwks), files) == {"lds.json"}
    assert not [p for p in files.folder.iterdir() if p.suffix == ".part"]


def test_a_damaged_file_is_read_as_none_and_written_again(folder: LabFolder) -> None:
    files, jwks = GatewayFiles.of(folder), (folder.keys / "jwks.json").read_text()
    config = configuration(plan(FLIGHT_TIME), folder, 8080, jwks)
    write(config, files)
    (files.folder / "cds.json").write_text('{"resources": [')
    assert files.read("cds.json") == {}
    assert write(config, files) == {"cds.json"}


def test_only_two_routes_are_open(folder: LabFolder) -> None:
    (table,) = made(folder, FLIGHT_TIME, CANARY, TABLE)["rds.json"]["resources"]
    (host,) = table["virtual_hosts"]
    needs = {r["name"]: r["typed_per_filter_config"]["envoy.filters.http.jwt_authn"] for r in host["routes"]}
    assert {name for name, need in needs.items() if need.get("disabled")} == {"healthz", "login"}
    assert all(need.get("disabled") or need["requirement_name"] == "token" for need in needs.values())


def test_upstreams_are_the_first_replicas_behind_unix_sockets(folder: LabFolder) -> None:
    clusters = {c["name"]: c for c in made(folder, FLIGHT_TIME, CANARY, TABLE)["cds.json"]["resources"]}
    pools = {"lookup.1", "online.2", "online.3"}
    assert set(clusters) == {"control", "registry", *pools, *(f"{pool}.grpc" for pool in pools)}
    endpoints = clusters["online.2"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    paths = [e["endpoint"]["address"]["pipe"]["path"] for e in endpoints]
    assert paths == [str(folder.socket("online-0")), str(folder.socket("online-1"))]
    (call, *_) = clusters["lookup.1.grpc"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert call["endpoint"]["address"]["pipe"]["path"] == str(folder.grpc_socket("lookup-0"))


def test_nothing_listens_beyond_the_loopback_interface(folder: LabFolder) -> None:
    documents = made(folder, FLIGHT_TIME, port=8123)
    (listener,) = documents["lds.json"]["resources"]
    assert listener["address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 8123}}
    assert documents["bootstrap.json"]["admin"]["address"] == {"pipe": {"path": str(folder.socket("envoy-admin"))}}


def test_no_private_key_is_in_any_file(folder: LabFolder) -> None:
    _written(folder)
    text = "".join(p.read_text() for p in GatewayFiles.of(folder).folder.iterdir())
    assert "PRIVATE" not in text
    assert '\\"d\\"' not in text


def test_a_program_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "envoy"))
    with pytest.raises(UserError, match="which is no program"):
        envoy_program()


def test_a_program_of_ones_own_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = tmp_path / "envoy"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o700)
    monkeypatch.setenv(VARIABLE, str(own))
    assert envoy_program() == own
