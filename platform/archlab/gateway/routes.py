"""Where requests go: models to their backends, the rest to registry and control. See docs/interfaces.md, Gateway.

Whether a route needs a token is written on the route itself: matching and authentication can't disagree about a path.
"""

from __future__ import annotations

from archlab.gateway import limits
from archlab.gateway.clusters import cluster_name, shadow_cluster_name
from archlab.gateway.messages import Message, seconds, typed
from archlab.spec.plan import Backend, Plan, Role, Route, Shadow

NAME = "archlab"
JWT_FILTER = "envoy.filters.http.jwt_authn"
REQUIREMENT = "token"
SHADOW = "x-archlab-shadow"
"""Header of mirrored requests; only the gateway sets it."""
VERSION = "x-archlab-version"

INFERENCE_TIMEOUT_S = 5.0
INFERENCE_TRY_S = 2.4
"""Leaves time for a second replica when the first one hangs."""
REGISTRY_TIMEOUT_S = 120.0
CONTROL_TIMEOUT_S = 60.0
REPOSITORY = "/v2/repository/"
"""The protocol's model repository extension, for operators: control asks every replica."""


def routes(plan: Plan) -> Message:
    """The route configuration. First match wins; what matches nothing is 404 with a token, 401 without."""
    host = {
        "name": NAME,
        "domains": ["*"],
        "routes": [
            *(_model(route) for route in plan.routes),
            *_servers(plan),
            _open("healthz", {"path": "/healthz"}),
            _open("login", {"prefix": "/login/"}),
            _platform("registry", {"path_separated_prefix": "/mlflow"}, "registry", REGISTRY_TIMEOUT_S),
            _platform("control", {"path": "/control"}, "control", CONTROL_TIMEOUT_S, prefix_rewrite="/"),
            _platform("control", {"prefix": "/control/"}, "control", CONTROL_TIMEOUT_S, prefix_rewrite="/"),
            _platform(
                "repository", {"prefix": REPOSITORY}, "control", CONTROL_TIMEOUT_S, prefix_rewrite="/repository/"
            ),
            _missing("no-model", {"prefix": "/v2/models/"}, "No model of that name is deployed."),
            _missing("no-route", {"prefix": "/"}, "Nothing answers under this path."),
        ],
        "typed_per_filter_config": {limits.FILTER: limits.settings(plan.limits)},
    }
    return typed("routes", name=NAME, virtual_hosts=[host], validate_clusters=False)


def _model(route: Route) -> Message:
    return _guarded(
        route.model,
        {"path_separated_prefix": f"/v2/models/{route.model}"},
        {**_backends(route.backends), **_mirror(route.shadow), **_inference()},
    )


def _backends(backends: tuple[Backend, ...]) -> Message:
    carrying = [b for b in backends if b.weight > 0]
    if len(carrying) == 1 and not carrying[0].version:
        return {"cluster": cluster_name(carrying[0].unit, carrying[0].replicas)}
    return {"weighted_clusters": {"clusters": [_weighted(b) for b in carrying]}}


def _weighted(backend: Backend) -> Message:
    """A share of the traffic. A version that the caller asks for by header stands; otherwise the backend's is set."""
    share: Message = {"name": cluster_name(backend.unit, backend.replicas), "weight": backend.weight}
    if not backend.version:
        return share
    return {**share, "request_headers_to_add": [_header(VERSION, backend.version, "ADD_IF_ABSENT")]}


def _mirror(shadow: Shadow | None) -> Message:
    """Copies say that they are, and name the challenger whatever version the original names."""
    if shadow is None:
        return {}
    named = {SHADOW: "true", VERSION: shadow.version}
    policy = {
        "cluster": shadow_cluster_name(shadow.unit, shadow.replicas),
        "runtime_fraction": {"default_value": {"numerator": shadow.percent, "denominator": "HUNDRED"}},
        "request_headers_mutations": [
            {"append": _header(key, value, "OVERWRITE_IF_EXISTS_OR_ADD")} for key, value in named.items()
        ],
    }
    return {"request_mirror_policies": [policy]}


def _header(key: str, value: str, append_action: str) -> Message:
    return {"header": {"key": key, "value": value}, "append_action": append_action}


def _inference() -> Message:
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
        "retriable_status_codes": [503],
        "num_retries": 1,
        "per_try_timeout": seconds(INFERENCE_TRY_S),
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": typed("previous-hosts")}
        ],
        "host_selection_retry_max_attempts": 10,
        "retry_back_off": {"base_interval": seconds(0.001), "max_interval": seconds(0.01)},
    }
    return {"timeout": seconds(INFERENCE_TIMEOUT_S), "retry_policy": retry}


def _servers(plan: Plan) -> list[Message]:
    """`/v2` and `/v2/health/…` name no model: any server of the first pool that computes answers them."""
    units = [u for u in plan.units if u.role is Role.SERVER]
    if not units:
        return []
    unit = next((u for u in units if u.serves != "table"), units[0])
    action = {"cluster": cluster_name(unit.name, unit.replicas), **_inference()}
    matches: list[Message] = [{"path": "/v2"}, {"path": "/v2/"}, {"prefix": "/v2/health/"}]
    return [_guarded("servers", match, action) for match in matches]


def _platform(name: str, match: Message, cluster: str, timeout_s: float, **action: str) -> Message:
    """A single instance; only what surely was not processed is tried again."""
    retry = {"retry_on": "connect-failure,refused-stream", "num_retries": 1}
    return _guarded(name, match, {"cluster": cluster, "timeout": seconds(timeout_s), "retry_policy": retry, **action})


def _guarded(name: str, match: Message, action: Message) -> Message:
    needs = {JWT_FILTER: typed("jwt-route", requirement_name=REQUIREMENT)}
    return {"name": name, "match": match, "route": action, "typed_per_filter_config": needs}


def _open(name: str, match: Message) -> Message:
    anyone = {JWT_FILTER: typed("jwt-route", disabled=True)}
    action = {"cluster": "control", "timeout": seconds(CONTROL_TIMEOUT_S)}
    return {"name": name, "match": match, "route": action, "typed_per_filter_config": anyone}


def _missing(name: str, match: Message, message: str) -> Message:
    needs = {JWT_FILTER: typed("jwt-route", requirement_name=REQUIREMENT)}
    answer = {"status": 404, "body": {"inline_string": message}}
    return {"name": name, "match": match, "direct_response": answer, "typed_per_filter_config": needs}
