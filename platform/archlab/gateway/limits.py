"""Per-team request limits, counted by Envoy itself (token buckets)."""

from __future__ import annotations

from collections.abc import Mapping

from archlab.gateway.callers import TEAM
from archlab.gateway.messages import Message, seconds, typed

FILTER = "envoy.filters.http.local_ratelimit"
UNLIMITED = 1_000_000
"""Requests per second of those whom no limit names."""


def settings(limits: Mapping[str, int]) -> Message:
    """The filter's settings for the whole virtual host; they travel with the routes, so no connection drops."""
    return typed(
        "rate-limit",
        stat_prefix="team",
        rate_limits=[{"actions": [{"request_headers": {"header_name": TEAM, "descriptor_key": "team"}}]}],
        token_bucket=_bucket(UNLIMITED),
        filter_enabled=_always(),
        filter_enforced=_always(),
        descriptors=[
            {"entries": [{"key": "team", "value": team}], "token_bucket": _bucket(rate)}
            for team, rate in sorted(limits.items())
        ],
        always_consume_default_token_bucket=False,
    )


def _bucket(per_second: int) -> Message:
    return {"max_tokens": per_second, "tokens_per_fill": per_second, "fill_interval": seconds(1)}


def _always() -> Message:
    return {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
