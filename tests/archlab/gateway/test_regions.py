"""The gateway of a lab in two regions as data, and Envoy's own opinion of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from archlab import identity
from archlab.gateway.clusters import PRIMARY, clusters, stands_by
from archlab.gateway.configuration import GatewayFiles, configuration, write
from archlab.gateway.program import envoy_program
from archlab.gateway.routes import routes
from archlab.gateway.sites import Sockets
from archlab.settings import LabFolder
from archlab.spec.drill_kinds import Replication
from archlab.spec.plan import Backend, Elsewhere, Plan, Role, Route, Unit
from archlab.spec.regions import Detection, RegionsPlan, Standby


def plan(priority: int) -> Plan:
    platform = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.CONTROL)]
    regional = [
        Unit(name=f"{name}-{region}", role=role, replicas=replicas, region=region, **more)
        for region, replicas in (("east", 2), ("west", 1))
        for name, role, more in (
            ("registry", Role.REGISTRY, {}),
            ("online", Role.SERVER, {"pool": "online", "serves": "onnx"}),
        )
    ]
    here = Backend(
        unit="online-east",
        replicas=2,
        weight=100,
        elsewhere=(Elsewhere.model_validate({"unit": "online-west", "replicas": 1, "priority": priority}),),
    )
    alone = Backend(unit="online-east", replicas=1, weight=100)
    return Plan(
        lab="lab",
        scenario="test",
        seed=1,
        units=(*platform, *regional),
        routes=(
            Route(model="delay", team="ops", backends=(here,)),
            Route(model="segments", team="ops", backends=(alone,)),
        ),
        reservations=(),
        regions=RegionsPlan(
            names=("east", "west"),
            primary="east",
            database=Standby.WARM_STANDBY,
            replication=Replication.SYNCHRONOUS,
            archive_every_s=30,
            latency_ms=20,
            bytes_per_s=None,
            registry=Detection(check_every_ms=700, failures_to_detect=4),
            servers=Detection(check_every_ms=300, failures_to_detect=5),
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    found = LabFolder(tmp_path / "lab")
    found.log.mkdir(parents=True)
    identity.create_keys(found)
    return found


def members(cluster: dict[str, Any]) -> dict[int, list[str]]:
    """Sockets by priority."""
    return {
        endpoints.get("priority", 0): [
            Path(m["endpoint"]["address"]["pipe"]["path"]).name for m in endpoints["lb_endpoints"]
        ]
        for endpoints in cluster["load_assignment"]["endpoints"]
    }


def test_the_second_region_is_behind_the_first_or_beside_it(folder: LabFolder) -> None:
    made = {c["name"]: c for c in clusters(plan(1), Sockets(folder))}
    behind = made["online-east.2.or.online-west.1"]
    assert members(behind) == {0: ["online-east-0.sock", "online-east-1.sock"], 1: ["online-west-0.sock"]}
    (check,) = behind["health_checks"]
    assert (check["interval"], check["unhealthy_threshold"]) == ("0.3s", 5)
    assert behind["outlier_detection"]["max_ejection_percent"] == 100, "a region is lost as a whole"
    assert stands_by(behind)
    beside = {c["name"]: c for c in clusters(plan(0), Sockets(folder))}["online-east.2.and.online-west.1"]
    assert members(beside) == {0: ["online-east-0.sock", "online-east-1.sock", "online-west-0.sock"]}
    assert not stands_by(beside)
    assert not stands_by(made["online-east.1"])


def test_the_registry_is_the_region_that_says_it_is_primary_or_none(folder: LabFolder) -> None:
    registry = next(c for c in clusters(plan(1), Sockets(folder)) if c["name"] == "registry")
    assert members(registry) == {0: ["registry-east-0.sock"], 1: ["registry-west-0.sock"]}
    (check,) = registry["health_checks"]
    assert check["http_health_check"]["path"] == PRIMARY
    assert (check["interval"], check["unhealthy_threshold"]) == ("0.7s", 4)
    assert registry["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}, "no write goes to a standby"
    assert stands_by(registry)


def test_a_try_goes_on_to_the_other_region_where_there_is_one(folder: LabFolder) -> None:
    found = {r["name"]: r["route"] for r in routes(plan(1))["virtual_hosts"][0]["routes"] if "route" in r}
    assert found["delay"]["cluster"] == "online-east.2.or.online-west.1.grpc", "the last of its name is the call's"
    assert found["delay"]["retry_policy"]["retry_priority"]["name"].endswith("previous_priorities")
    assert "retry_priority" not in found["segments"]["retry_policy"]
    assert "retry_priority" not in found["registry"]["retry_policy"], "a write must not arrive twice"
    assert found["servers"]["cluster"].startswith("online-east.2.or.online-west.1"), "health is asked of both too"


@pytest.mark.parametrize("priority", [0, 1])
def test_envoy_accepts_it(folder: LabFolder, priority: int) -> None:
    files = GatewayFiles.of(folder)
    config = configuration(plan(priority), folder, 8080, (folder.keys / "jwks.json").read_text())
    write(config, files)
    static = {**config.bootstrap, "static_resources": {"clusters": [_untyped(c) for c in config.clusters]}}
    static.pop("dynamic_resources")
    path = files.folder / "static.json"
    path.write_text(json.dumps(static))
    done = subprocess.run(
        [envoy_program(), "--mode", "validate", "-c", path, "-l", "error"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _untyped(cluster: dict[str, Any]) -> dict[str, Any]:
    """Static resources have the type that their place says."""
    return {key: value for key, value in cluster.items() if key != "@type"}
