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


def _bootstrap(
    port: int, admin: Path, regions: Sequence[Path], serving: Sequence[Path], registry: Path | None
) -> Message:
    # writes carry a number: the same one may arrive twice, and so may a question to a model
    routes = [_route("/", CLUSTER)]
    clusters = [_cluster(CLUSTER, regions, HEALTH)]
    if serving:
        routes.insert(0, _route("/v2/", SERVING))
        clusters.append(_cluster(SERVING, serving, READY))
    if registry:
        # a change is not tried again: it is decided once, and the answer is for whoever asked
        action = {"cluster": REGISTRY, "timeout": seconds(CHANGE_S)}
        routes.insert(0, {"match": {"prefix": "/mlflow/"}, "route": action})
        clusters.append(_cluster(REGISTRY, [registry], REGISTRY_HEALTH))
    host = {"name": "all", "domains": ["*"], "routes": routes}
    manager = typed(
        "connection-manager",
        stat_prefix="drill",
        route_config={"name": "all", "virtual_hosts": [host]},
        http_filters=[{"name": "envoy.filters.http.router", "typed_config": typed("router")}],
    )
    listener = {
        "name": "drill",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
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


def _cluster(name: str, sockets: Sequence[Path], health: str) -> Message:
    made = failover_cluster(name, [pipe(path) for path in sockets], health)
    del made["@type"]  # static resources have the type that their place says
    return made
