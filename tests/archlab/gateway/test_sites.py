"""Where the gateway finds replicas on a cluster: endpoint files that Envoy watches."""

from __future__ import annotations

import json
from pathlib import Path

from archlab.gateway.clusters import clusters
from archlab.gateway.sites import Names
from archlab.spec.plan import Backend, Plan, Role, Route, Unit

PLAN = Plan(
    lab="lab",
    scenario="test",
    seed=1,
    units=(Unit(name="online", role=Role.SERVER, replicas=2, pool="online", serves="onnx"),),
    routes=(
        Route(model="a", team="ops", backends=(Backend(unit="online", replicas=2, weight=100),)),
        Route(model="b", team="ops", backends=(Backend(unit="online", replicas=1, weight=100),)),
    ),
    reservations=(),
)


def test_every_pool_reads_its_endpoint_file_and_drops_who_is_not_listed(tmp_path: Path) -> None:
    found = {str(c["name"]): c for c in clusters(PLAN, Names(tmp_path, Path("/dev/stdout")))}
    assert found["control"]["type"] == found["registry"]["type"] == "STRICT_DNS"
    for name, file in (("online.1", "online"), ("online.2", "online"), ("online.2.grpc", "online.grpc")):
        source = found[name]["eds_cluster_config"]
        assert source["service_name"] == file
        assert source["eds_config"]["path_config_source"]["path"] == str(tmp_path / f"{file}.json")
        assert found[name]["ignore_health_on_host_removal"]
        assert found[name]["health_checks"]


def test_endpoint_files_name_each_pods_port_and_change_only_with_the_pods(tmp_path: Path) -> None:
    site = Names(tmp_path, Path("/dev/stdout"))
    site.write("online", ["10.0.0.2", "10.0.0.1"])
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert first.keys() == {"online.json", "online.grpc.json"}
    (assignment,) = json.loads(first["online.json"])["resources"]
    addresses = [e["endpoint"]["address"]["socket_address"] for e in assignment["endpoints"][0]["lb_endpoints"]]
    assert addresses == [{"address": "10.0.0.1", "port_value": 8080}, {"address": "10.0.0.2", "port_value": 8080}]
    inode = (tmp_path / "online.json").stat().st_ino
    site.write("online", ["10.0.0.1", "10.0.0.2"])
    assert (tmp_path / "online.json").stat().st_ino == inode
    site.write("online", [])
    assert json.loads((tmp_path / "online.json").read_text())["resources"][0]["endpoints"] == [{"lb_endpoints": []}]
