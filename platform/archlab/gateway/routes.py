"""Where requests go: models to their backends, the rest to registry and control. See docs/interfaces.md, Gateway.

Whether a route needs a token is written on the route itself: matching and authentication can't disagree about a path.
"""

from __future__ import annotations

import re

from archlab.gateway import callers, limits, model_reader
from archlab.gateway.clusters import cluster_name, shadow_cluster_name
from archlab.gateway.failover import next_priority
from archlab.gateway.messages import Message, seconds, typed
from archlab.spec.plan import Backend, Plan, Role, Route, Shadow

NAME = "archlab"
JWT_FILTER = "envoy.filters.http.jwt_authn"
REQUIREMENT = "token"
SHADOW = "x-archlab-shadow"
"""Header of mirrored requests; only the gateway sets it."""
VERSION = "x-archlab-version"

CALLS = "/inference.GRPCInferenceService/"
NAMING = re.escape(CALLS) + "Model(Infer|Metadata|Ready)"
"""The calls whose message begins with a model's name."""
HEALTH = "/grpc.health.v1.Health/"
NOT_FOUND = "5"
"""gRPC's status; Envoy makes UNIMPLEMENTED of 404."""
MAX_CALL_BYTES = (8 << 20) + 1024
"""A call is held until its model is read; servers take messages of 8 MiB."""

INFERENCE_TIMEOUT_S = 5.0
INFERENCE_TRY_S = 2.4
"""Leaves time for a second replica when the first one hangs."""
REGION_TRY_S = 1.6
"""Leaves time for two more tries, in the other region as well."""
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
            *_calls(plan),
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
        _asked(route),
        route.callers,
    )


def _asked(route: Route, *, grpc: bool = False) -> Message:
    """What becomes of a model's requests."""
    tries = _inference(grpc=grpc, regions=any(b.elsewhere for b in route.backends))
    return {**_backends(route.backends, grpc=grpc), **_mirror(route.shadow, grpc=grpc), **tries}


def _backends(backends: tuple[Backend, ...], *, grpc: bool) -> Message:
    carrying = [b for b in backends if b.weight > 0]
    if len(carrying) == 1 and not carrying[0].version:
        return {"cluster": _cluster(carrying[0], grpc=grpc)}
    return {"weighted_clusters": {"clusters": [_weighted(b, grpc=grpc) for b in carrying]}}


def _cluster(backend: Backend, *, grpc: bool) -> str:
    return cluster_name(backend.unit, backend.replicas, grpc=grpc, elsewhere=backend.elsewhere)


def _weighted(backend: Backend, *, grpc: bool) -> Message:
    """A share of the traffic. A version that the caller asks for by header stands; otherwise the backend's is set."""
    share: Message = {"name": _cluster(backend, grpc=grpc), "weight": backend.weight}
    if not backend.version:
        return share
    return {**share, "request_headers_to_add": [_header(VERSION, backend.version, "ADD_IF_ABSENT")]}


def _mirror(shadow: Shadow | None, *, grpc: bool) -> Message:
    """Copies say that they are, and name the challenger whatever version the original names."""
    if shadow is None:
        return {}
    named = {SHADOW: "true", VERSION: shadow.version}
    policy = {
        "cluster": shadow_cluster_name(shadow.unit, shadow.replicas, grpc=grpc),
        "runtime_fraction": {"default_value": {"numerator": shadow.percent, "denominator": "HUNDRED"}},
        "request_headers_mutations": [
            {"append": _header(key, value, "OVERWRITE_IF_EXISTS_OR_ADD")} for key, value in named.items()
        ],
    }
    return {"request_mirror_policies": [policy]}


def _header(key: str, value: str, append_action: str) -> Message:
    return {"header": {"key": key, "value": value}, "append_action": append_action}


def _inference(*, grpc: bool = False, regions: bool = False) -> Message:
    # gRPC cancels what reaches a server the moment it stops; callers that cancel wait for no answer
    busy = "unavailable,cancelled" if grpc else "retriable-status-codes"
    retry = {
        "retry_on": f"connect-failure,refused-stream,reset,{busy}",
        "retriable_status_codes": [503],
        "num_retries": 2 if regions else 1,
        "per_try_timeout": seconds(REGION_TRY_S if regions else INFERENCE_TRY_S),
        "retry_host_predicate": [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": typed("previous-hosts")}
        ],
        "host_selection_retry_max_attempts": 10,
        "retry_back_off": {"base_interval": seconds(0.001), "max_interval": seconds(0.01)},
        **(next_priority() if regions else {}),
    }
    return {"timeout": seconds(INFERENCE_TIMEOUT_S), "retry_policy": retry}


def _servers(plan: Plan) -> list[Message]:
    """What names no model, `/v2`, `/v2/health/…` and their calls, is answered by any server of the first pool."""
    units = [u for u in plan.units if u.role is Role.SERVER]
    if not units:
        return []
    unit = next((u for u in units if u.serves != "table"), units[0])
    http: list[Message] = [{"path": "/v2"}, {"path": "/v2/"}, {"prefix": "/v2/health/"}]
    calls = [_call(f"{CALLS}Server"), _call(HEALTH)]
    spread = (b for r in plan.routes for b in r.backends if b.unit == unit.name and b.elsewhere)
    backend = next(spread, Backend(unit=unit.name, replicas=unit.replicas, weight=100))
    regions = bool(backend.elsewhere)
    action = {"cluster": _cluster(backend, grpc=False), **_inference(regions=regions)}
    called = {"cluster": _cluster(backend, grpc=True), **_inference(grpc=True, regions=regions)}
    return [
        *(_guarded("servers", match, action) for match in http),
        *(_guarded("servers", match, called) for match in calls),
    ]


def _calls(plan: Plan) -> list[Message]:
    """gRPC. A call's path names no model: `no-model` has it read from the message, and the routes are tried again."""
    repository = f"The model repository is asked over REST, {REPOSITORY}: a call reaches one replica only."
    return [
        *(_guarded(r.model, _call(f"{CALLS}Model", r.model), _asked(r, grpc=True), r.callers) for r in plan.routes),
        _reading("no-model", {"safe_regex": {"regex": NAMING}, "grpc": {}}, "No model of that name is deployed."),
        _missing("no-repository", _call(f"{CALLS}Repository"), repository),
    ]


def _call(prefix: str, model: str = "") -> Message:
    match: Message = {"prefix": prefix, "grpc": {}}
    named = {"name": model_reader.HEADER, "string_match": {"exact": model}}
    return {**match, "headers": [named]} if model else match


def _reading(name: str, match: Message, message: str) -> Message:
    """Turns the model reader on, which needs the whole call; what still comes here then is refused."""
    missing = _missing(name, match, message)
    return {
        **missing,
        "request_body_buffer_limit": MAX_CALL_BYTES,
        "response_headers_to_add": [_header("grpc-status", NOT_FOUND, "OVERWRITE_IF_EXISTS_OR_ADD")],
        "typed_per_filter_config": {**missing["typed_per_filter_config"], **model_reader.reading()},
    }


def _platform(name: str, match: Message, cluster: str, timeout_s: float, **action: str) -> Message:
    """A single instance; only what surely was not processed is tried again."""
    retry = {"retry_on": "connect-failure,refused-stream", "num_retries": 1}
    return _guarded(name, match, {"cluster": cluster, "timeout": seconds(timeout_s), "retry_policy": retry, **action})


def _guarded(name: str, match: Message, action: Message, teams: tuple[str, ...] | None = None) -> Message:
    """A route that needs a token: of one of the teams, or of anybody."""
    needs = {JWT_FILTER: typed("jwt-route", requirement_name=REQUIREMENT)}
    if teams is not None:
        needs |= callers.only(teams)
    return {"name": name, "match": match, "route": action, "typed_per_filter_config": needs}


def _open(name: str, match: Message) -> Message:
    anyone = {JWT_FILTER: typed("jwt-route", disabled=True)}
    action = {"cluster": "control", "timeout": seconds(CONTROL_TIMEOUT_S)}
    return {"name": name, "match": match, "route": action, "typed_per_filter_config": anyone}


def _missing(name: str, match: Message, message: str) -> Message:
    needs = {JWT_FILTER: typed("jwt-route", requirement_name=REQUIREMENT)}
    answer = {"status": 404, "body": {"inline_string": message}}
    return {"name": name, "match": match, "direct_response": answer, "typed_per_filter_config": needs}
