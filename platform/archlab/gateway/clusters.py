"""Upstreams: the first N replicas of a server unit (HTTP and gRPC apart), registry, control.

A cluster is named after what is in it (`online.2`), so its members never change: a model that moves gets another
cluster, and nothing that carries requests is replaced under them. Models of one pool share its health checks.
"""

from __future__ import annotations

from archlab.gateway.messages import Message, seconds, typed
from archlab.gateway.sites import Site
from archlab.spec.plan import Plan, Role

HEALTH_INTERVAL_S = 0.5
HEALTH_TIMEOUT_S = 2.0
IDLE_TIMEOUT_S = 30
"""Shorter than the servers' keep-alive, so that the side that sends requests is the one that closes."""
MAX_IN_FLIGHT = 4096
SHADOW_SUFFIX = ".shadow"
GRPC_SUFFIX = ".grpc"
MAX_MIRRORED = 32
"""Copies under way, and as many waiting; what a slow shadow can't take is dropped."""


def cluster_name(unit: str, replicas: int, *, grpc: bool = False) -> str:
    """Name of the cluster that holds the first `replicas` of a unit; gRPC has sockets, and so clusters, of its own."""
    return f"{unit}.{replicas}{GRPC_SUFFIX if grpc else ''}"


def shadow_cluster_name(unit: str, replicas: int, *, grpc: bool = False) -> str:
    """Name of the cluster that takes copies of requests to the same replicas."""
    return cluster_name(unit, replicas, grpc=grpc) + SHADOW_SUFFIX


def clusters(plan: Plan, site: Site) -> list[Message]:
    """Every upstream that the plan's routes lead to, sorted by name."""
    wanted = {(b.unit, b.replicas) for route in plan.routes for b in route.backends}
    wanted |= {(u.name, u.replicas) for u in plan.units if u.role is Role.SERVER}
    mirrored = {(r.shadow.unit, r.shadow.replicas) for r in plan.routes if r.shadow}
    made = [_cluster(name, site.part(name)) for name in ("control", "registry")]
    for grpc in (False, True):
        made += [_pool(unit, replicas, site, grpc=grpc) for unit, replicas in wanted]
        made += [_shadow(unit, replicas, site, grpc=grpc) for unit, replicas in mirrored]
    return sorted(made, key=lambda c: str(c["name"]))


def _pool(unit: str, replicas: int, site: Site, *, grpc: bool) -> Message:
    found = site.pool(unit, replicas, grpc=grpc)
    return {
        **_cluster(cluster_name(unit, replicas, grpc=grpc), found, protocol="http2" if grpc else "http"),
        "health_checks": [_health_check(grpc=grpc)],
        "outlier_detection": _outliers(),
        "common_lb_config": {
            # With every replica unhealthy, which on a busy laptop may be a false alarm, asking one beats refusing.
            "healthy_panic_threshold": {"value": 1},
            # By default the workers hear of a changed health up to a second late.
            "update_merge_window": seconds(0),
        },
    }


def _shadow(unit: str, replicas: int, site: Site, *, grpc: bool) -> Message:
    """The same replicas, counted apart: failing copies take no replica out, slow ones hold no caller's place."""
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), MAX_MIRRORED)
    pool = _pool(unit, replicas, site, grpc=grpc)
    return {
        **{key: value for key, value in pool.items() if key != "outlier_detection"},
        "name": shadow_cluster_name(unit, replicas, grpc=grpc),
        "circuit_breakers": {"thresholds": [{**limits, "max_retries": 0}]},
    }


def _cluster(name: str, found: Message, protocol: str = "http") -> Message:
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), MAX_IN_FLIGHT)
    options = typed(
        "http-options",
        common_http_protocol_options={"idle_timeout": seconds(IDLE_TIMEOUT_S)},
        explicit_http_config={f"{protocol}_protocol_options": {}},
    )
    return {
        **typed("cluster", name=name, lb_policy="ROUND_ROBIN", connect_timeout=seconds(1)),
        **found,
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
    }


def _health_check(*, grpc: bool) -> Message:
    interval = seconds(HEALTH_INTERVAL_S)
    asked: Message = {"grpc_health_check": {}} if grpc else {"http_health_check": {"path": "/v2/health/ready"}}
    return {
        "timeout": seconds(HEALTH_TIMEOUT_S),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        **asked,
    }


def _outliers() -> Message:
    """Take a replica out after three failures in a row, before the next health check finds it; never more than half."""
    return {
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": seconds(1),
        "base_ejection_time": seconds(2),
        "max_ejection_time": seconds(10),
        "max_ejection_percent": 50,
    }
