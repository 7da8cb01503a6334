"""The gateway of a drill's two regions: one Envoy outside of both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from archlab.drills.models import READY
from archlab.files import write_atomic
from archlab.gateway.failover import failover_cluster, failover_retries
from archlab.gateway.messages import Message, pipe, seconds, typed
from archlab.gateway.program import envoy_program

CLUSTER, SERVING = "regions", "models"
TIMEOUT_S, TRY_S = 1.8, 0.8
HEALTH = "/primary"
LISTENS, ADMIN, ANY_ADDRESS = 8080, Path("/run/archlab/admin.sock"), "0.0.0.0"  # noqa: S104 in a pod
REGISTRY, REGISTRY_HEALTH, CHANGE_S = "registry", "/mlflow/health", 60.0


def command(
    bootstrap: Path,
    port: int,
    admin: Path,
    regions: Sequence[Path],
    serving: Sequence[Path] = (),
    registry: Path | None = None,
) -> list[str]:
    """Write Envoy's configuration; how it is started.

    Args:
        bootstrap: where the configuration goes.
        port: where it listens on the loopback interface.
        admin: unix socket of its admin interface.
        regions: unix sockets of the regions' services, the preferred one first.
        serving: those of the regions' inference servers; empty where there is no model.
        registry: of the registry in its gate, outside of both regions; None where there is none.
    """
    write_atomic(bootstrap, json.dumps(_bootstrap(port, admin, regions, serving, registry), indent=1))
    options = ["--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
    return [str(envoy_program()), "-c", str(bootstrap), *options]


def elsewhere(hosts: Sequence[str], port: int) -> str:
    """Envoy's configuration in a pod of its own: it listens on all addresses.

    Args:
        hosts: addresses of the regions' services, the preferred one first.
        port: theirs.
    """
    places = [{"socket_address": {"address": host, "port_value": port}} for host in hosts]
    there = {"socket_address": {"address": ANY_ADDRESS, "port_value": LISTENS}}
    return json.dumps(_static(there, ADMIN, [_route("/", CLUSTER)], [_cluster(CLUSTER, places, HEALTH)]), indent=1)


def _bootstrap(
    port: int, admin: Path, regions: Sequence[Path], serving: Sequence[Path], registry: Path | None
) -> Message:
    # writes carry a number: the same one may arrive twice, and so may a question to a model
    routes = [_route("/", CLUSTER)]
    clusters = [_cluster(CLUSTER, [pipe(path) for path in regions], HEALTH)]
    if serving:
        routes.insert(0, _route("/v2/", SERVING))
        clusters.append(_cluster(SERVING, [pipe(path) for path in serving], READY))
    if registry:
        # a change is not tried again: it is decided once, and the answer is for whoever asked
        action = {"cluster": REGISTRY, "timeout": seconds(CHANGE_S)}
        routes.insert(0, {"match": {"prefix": "/mlflow/"}, "route": action})
        clusters.append(_cluster(REGISTRY, [pipe(registry)], REGISTRY_HEALTH))
    here = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return _static(here, admin, routes, clusters)


def _static(listens: Message, admin: Path, routes: Sequence[Message], clusters: Sequence[Message]) -> Message:
    host = {"name": "all", "domains": ["*"], "routes": routes}
    manager = typed(
        "connection-manager",
        stat_prefix="drill",
        route_config={"name": "all", "virtual_hosts": [host]},
        http_filters=[{"name": "envoy.filters.http.router", "typed_config": typed("router")}],
    )
    listener = {
        "name": "drill",
        "address": listens,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {
        "node": {"id": "gateway", "cluster": "drill"},
        "admin": {"address": pipe(admin)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _route(prefix: str, cluster: str) -> Message:
    action = {"cluster": cluster, "timeout": seconds(TIMEOUT_S), "retry_policy": failover_retries(TRY_S)}
    return {"match": {"prefix": prefix}, "route": action}


def _cluster(name: str, regions: Sequence[Message], health: str) -> Message:
    made = failover_cluster(name, regions, health)
    del made["@type"]  # static resources have the type that their place says
    return made
