"""Which teams a route lets through: role-based access control of Envoy's own, compiled from the plan."""

from __future__ import annotations

from collections.abc import Iterable

from archlab.gateway.messages import Message, typed

FILTER = "envoy.filters.http.rbac"
TEAM = "x-archlab-team"
"""Set from the claim of the checked token; removed from what comes from outside."""


def callers() -> Message:
    """The filter: it refuses nobody where a route names nobody. Runs when the route of a gRPC call is known."""
    return {"name": FILTER, "typed_config": typed("rbac")}


def only(teams: Iterable[str]) -> Message:
    """A route's setting: these teams and no other."""
    named = [{"header": {"name": TEAM, "string_match": {"exact": team}}} for team in sorted(teams)]
    policy: Message = {"permissions": [{"any": True}], "principals": named or [{"not_id": {"any": True}}]}
    return {FILTER: typed("rbac-route", rbac={"rules": {"action": "ALLOW", "policies": {"callers": policy}}})}
