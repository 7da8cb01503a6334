"""Failover between regions by priority: a cluster whose members are the same service in each region.

Which region is asked is decided by the regions' own word, not by a switch: the health check asks for what only a
primary says. With none, requests fail at once instead of reaching a region that would lose them. Servers of models are
alike in all regions: those of the first priority are asked as long as they answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from archlab.gateway.messages import Message, seconds, typed

HEALTH_INTERVAL_S = 0.25
HEALTH_TIMEOUT_S = 0.5
UNHEALTHY_AFTER = 2


def failover_cluster(
    name: str,
    regions: Sequence[Message],
    health_path: str,
    *,
    interval_s: float = HEALTH_INTERVAL_S,
    unhealthy_after: int = UNHEALTHY_AFTER,
) -> Message:
    """The cluster: `regions` are addresses, the preferred one first."""
    return {
        **typed("cluster", name=name, type="STATIC", lb_policy="ROUND_ROBIN", connect_timeout=seconds(0.5)),
        "load_assignment": assignment(name, [[region] for region in regions]),
        "health_checks": [
            health_check({"http_health_check": {"path": health_path}}, interval_s, HEALTH_TIMEOUT_S, unhealthy_after)
        ],
        "outlier_detection": outliers(),
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": seconds(0)},
    }


def assignment(name: str, priorities: Sequence[Sequence[Message]]) -> Message:
    """Addresses by priority; those of the second are asked when too few of the first answer."""
    endpoints = [
        {"priority": priority, "lb_endpoints": [{"endpoint": {"address": address}} for address in addresses]}
        for priority, addresses in enumerate(priorities)
    ]
    return {"cluster_name": name, "endpoints": endpoints}


def health_check(asked: Message, interval_s: float, timeout_s: float, unhealthy_after: int) -> Message:
    """One that is asked as often with traffic as without."""
    interval = seconds(interval_s)
    return {
        "timeout": seconds(timeout_s),
        "interval": interval,
        "no_traffic_interval": interval,
        "no_traffic_healthy_interval": interval,
        "unhealthy_threshold": unhealthy_after,
        "healthy_threshold": 1,
        **asked,
    }


def outliers() -> Message:
    """Take a member out after three failures in a row, before the next health check finds it; all if need be."""
    return {
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "interval": seconds(1),
        "base_ejection_time": seconds(1),
        "max_ejection_time": seconds(2),
        "max_ejection_percent": 100,
    }


def next_priority() -> Message:
    """Part of a retry policy: a try goes on to the next region."""
    priorities = typed("previous-priorities", update_frequency=1)
    return {"retry_priority": {"name": "envoy.retry_priorities.previous_priorities", "typed_config": priorities}}


def failover_retries(tries_s: float, retries: int = 2) -> Message:
    """A retry policy that goes on to the next region. Only for requests that may arrive twice."""
    return {
        "retry_on": "connect-failure,refused-stream,reset,gateway-error",
        "num_retries": retries,
        "per_try_timeout": seconds(tries_s),
        **next_priority(),
        "retry_back_off": {"base_interval": seconds(0.02), "max_interval": seconds(0.1)},
    }
