"""Upstreams: the first N replicas of a server unit (HTTP and gRPC apart), registry, control.

A cluster is named after what is in it (`online.2`), so its members never change: a model that moves gets another
cluster, and nothing that carries requests is replaced under them. Models of one pool share its health checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from archlab.gateway.failover import assignment, failover_cluster, health_check, outliers
from archlab.gateway.messages import Message, seconds, typed
from archlab.gateway.sites import Site
from archlab.spec.plan import Elsewhere, Plan, Role

HEALTH_INTERVAL_S = 0.5
HEALTH_TIMEOUT_S = 2.0
UNHEALTHY_AFTER = 2
PRIMARY = "/primary"
"""What only the registry of the primary region answers with 200."""
IDLE_TIMEOUT_S = 30
"""Shorter than the servers' keep-alive, so that the side that sends requests is the one that closes."""
MAX_IN_FLIGHT = 4096
SHADOW_SUFFIX = ".shadow"
GRPC_SUFFIX = ".grpc"
MAX_MIRRORED = 32
"""Copies under way, and as many waiting; what a slow shadow can't take is dropped."""


def cluster_name(unit: str, replicas: int, *, grpc: bool = False, elsewhere: Sequence[Elsewhere] = ()) -> str:
    """Name of the cluster that holds the first `replicas` of a unit; gRPC has sockets, and so clusters, of its own.

    With servers of another region: `online-east.2.and.online-west.2`, or `.or.` when those are asked only in need.
    """
    others = "".join(f".{'or' if e.priority else 'and'}.{e.unit}.{e.replicas}" for e in elsewhere)
    return f"{unit}.{replicas}{others}{GRPC_SUFFIX if grpc else ''}"


def shadow_cluster_name(unit: str, replicas: int, *, grpc: bool = False) -> str:
    """Name of the cluster that takes copies of requests to the same replicas."""
    return cluster_name(unit, replicas, grpc=grpc) + SHADOW_SUFFIX


def stands_by(cluster: Message) -> bool:
    """Whether a cluster has members that are healthy only when others are not, or need not be."""
    checks = [check.get("http_health_check", {}).get("path") for check in cluster.get("health_checks", ())]
    return PRIMARY in checks or len(cluster.get("load_assignment", {}).get("endpoints", ())) > 1


def clusters(plan: Plan, site: Site) -> list[Message]:
    """Every upstream that the plan's routes lead to, sorted by name."""
    wanted = {(b.unit, b.replicas) for route in plan.routes for b in route.backends if not b.elsewhere}
    wanted |= {(u.name, u.replicas) for u in plan.units if u.role is Role.SERVER}
    mirrored = {(r.shadow.unit, r.shadow.replicas) for r in plan.routes if r.shadow}
    paired = {(b.unit, b.replicas, b.elsewhere) for route in plan.routes for b in route.backends if b.elsewhere}
    made = [_cluster("control", site.part("control")), _registry(plan, site)]
    for grpc in (False, True):
        made += [_pair(*members, plan, site, grpc=grpc) for members in paired]
        made += [_pool(unit, replicas, site, grpc=grpc) for unit, replicas in wanted]
        made += [_shadow(unit, replicas, site, grpc=grpc) for unit, replicas in mirrored]
    return sorted(made, key=lambda c: str(c["name"]))


def _registry(plan: Plan, site: Site) -> Message:
    """The registry; of several regions the one whose database is primary."""
    if plan.regions is None:
        return _cluster("registry", site.part("registry"))
    names = [u.name for u in plan.units if u.role is Role.REGISTRY]
    addresses = [address for name in names for address in _addresses(site.pool(name, 1, grpc=False))]
    seen = plan.regions.registry
    asked = failover_cluster(
        "registry",
        addresses,
        PRIMARY,
        interval_s=seen.check_every_ms / 1000,
        unhealthy_after=seen.failures_to_detect,
    )
    return {**_cluster("registry", {}), **asked, "connect_timeout": seconds(1)}


def _pair(unit: str, replicas: int, elsewhere: Sequence[Elsewhere], plan: Plan, site: Site, *, grpc: bool) -> Message:
    """The same servers in two regions: those of the other one beside the first ones, or behind them."""
    name = cluster_name(unit, replicas, grpc=grpc, elsewhere=elsewhere)
    priorities = [_addresses(site.pool(unit, replicas, grpc=grpc)), []]
    for other in elsewhere:
        priorities[other.priority] += _addresses(site.pool(other.unit, other.replicas, grpc=grpc))
    found = {"type": "STATIC", "load_assignment": assignment(name, [p for p in priorities if p])}
    made = _pool_of(name, found, grpc=grpc)
    if plan.regions:
        seen = plan.regions.servers
        interval_s = seen.check_every_ms / 1000
        made["health_checks"] = [health_check(_asked(grpc=grpc), interval_s, HEALTH_TIMEOUT_S, seen.failures_to_detect)]
    return {**made, "outlier_detection": outliers()}


def _addresses(found: Message) -> list[Message]:
    return [
        member["endpoint"]["address"]
        for endpoints in found["load_assignment"]["endpoints"]
        for member in endpoints["lb_endpoints"]
    ]


def _pool(unit: str, replicas: int, site: Site, *, grpc: bool) -> Message:
    return _pool_of(cluster_name(unit, replicas, grpc=grpc), site.pool(unit, replicas, grpc=grpc), grpc=grpc)


def _pool_of(name: str, found: Message, *, grpc: bool) -> Message:
    return {
        **_cluster(name, found, protocol="http2" if grpc else "http"),
        "health_checks": [health_check(_asked(grpc=grpc), HEALTH_INTERVAL_S, HEALTH_TIMEOUT_S, UNHEALTHY_AFTER)],
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


def _asked(*, grpc: bool) -> Message:
    return {"grpc_health_check": {}} if grpc else {"http_health_check": {"path": "/v2/health/ready"}}


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
