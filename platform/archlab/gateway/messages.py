"""The names of Envoy's protobuf types, and small values that several parts of its configuration share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

Message = dict[str, Any]
"""A protobuf message in its JSON form."""

_PREFIX = "type.googleapis.com/envoy."
_FILTERS = "extensions.filters.http."

TYPES = {
    "listener": "config.listener.v3.Listener",
    "cluster": "config.cluster.v3.Cluster",
    "endpoints": "config.endpoint.v3.ClusterLoadAssignment",
    "routes": "config.route.v3.RouteConfiguration",
    "connection-manager": "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "jwt": _FILTERS + "jwt_authn.v3.JwtAuthentication",
    "jwt-route": _FILTERS + "jwt_authn.v3.PerRouteConfig",
    "rate-limit": _FILTERS + "local_ratelimit.v3.LocalRateLimit",
    "lua": _FILTERS + "lua.v3.Lua",
    "lua-route": _FILTERS + "lua.v3.LuaPerRoute",
    "rbac": _FILTERS + "rbac.v3.RBAC",
    "rbac-route": _FILTERS + "rbac.v3.RBACPerRoute",
    "router": _FILTERS + "router.v3.Router",
    "early-headers": "extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    "request-id": "extensions.request_id.uuid.v3.UuidRequestIdConfig",
    "previous-hosts": "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "previous-priorities": "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    "http-options": "extensions.upstreams.http.v3.HttpProtocolOptions",
    "file-log": "extensions.access_loggers.file.v3.FileAccessLog",
}


def typed(kind: str, **fields: Any) -> Message:
    """A message that says its own type (protobuf's Any)."""
    return {"@type": _PREFIX + TYPES[kind], **fields}


def seconds(value: float) -> str:
    """A protobuf duration."""
    return f"{value:g}s"


def pipe(path: Path) -> Message:
    """The address of a unix socket."""
    return {"pipe": {"path": str(path)}}


def file_source(path: Path) -> Message:
    """Where resources come from: a file that is read again whenever another is renamed over it."""
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}
