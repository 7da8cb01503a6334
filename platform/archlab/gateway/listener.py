"""The listener: canonical paths, identity, answers of its own in JSON, access log."""

from __future__ import annotations

from pathlib import Path

from archlab.gateway import callers, limits, model_reader
from archlab.gateway.messages import Message, file_source, seconds, typed
from archlab.gateway.routes import JWT_FILTER, NAME, REQUIREMENT, SHADOW
from archlab.identity import AUDIENCE, issuer

IDENTITY = {"x-archlab-user": "sub", callers.TEAM: "team", "x-archlab-scope": "scope"}
"""Headers that only the gateway sets, each from a claim of the checked token."""
COOKIE = "archlab_token"

_ERRORS = {
    400: ("The gateway can't read this request (%RESPONSE_CODE_DETAILS%).", "Paths take no escaped slashes."),
    401: ("%LOCAL_REPLY_BODY%.", 'Send -H "Authorization: Bearer $(archlab token)".'),
    403: (
        "Team %REQ(X-ARCHLAB-TEAM)% may not use %ROUTE_NAME% (%LOCAL_REPLY_BODY%).",
        "Its owners can let your team: archlab access explain TEAM MODEL.",
    ),
    429: ("Your team's limit of requests per second is used up.", "Ask less often, or raise the team's limit."),
    503: ("No replica answers: %LOCAL_REPLY_BODY%.", "See: archlab status"),
    504: ("No answer in time.", "See: archlab status"),
}
"""What happened and what to do, by status."""
_CALL_ERRORS = {
    **{code: f"{error} {remedy}" for code, (error, remedy) in _ERRORS.items()},
    401: "%LOCAL_REPLY_BODY%. Send metadata, authorization: Bearer $(archlab token).",
}
_CALL_STATUS = {400: "3", 401: "16", 403: "7", 413: "8", 429: "8", 503: "14", 504: "4", 0: ""}
"""INVALID_ARGUMENT, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED (twice), UNAVAILABLE, DEADLINE_EXCEEDED.

0 is any other.
"""


def listener(lab: str, address: tuple[str, int], jwks: str, log: Path, routes: Path) -> Message:
    """Listens on a host and port only; takes its routes from the file that `routes` goes to.

    With a port reused, a second gateway would get half of the first one's connections; without, it can't have the port.
    """
    host, port = address
    bound = {"socket_address": {"address": host, "port_value": port}}
    manager = {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": _manager(lab, jwks, log, routes),
    }
    chains = [{"filters": [manager]}]
    return typed("listener", name=f"gateway-{port}", address=bound, filter_chains=chains, enable_reuse_port=False)


def _manager(lab: str, jwks: str, log: Path, routes: Path) -> Message:
    return typed(
        "connection-manager",
        stat_prefix="gateway",
        codec_type="AUTO",
        rds={"route_config_name": NAME, "config_source": file_source(routes)},
        # Canonical paths before anything is matched: nobody walks round a route with dots, doubled or escaped slashes.
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        use_remote_address=True,
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        request_id_extension={"typed_config": typed("request-id", pack_trace_reason=False)},
        early_header_mutation_extensions=[_cleaned()],
        common_http_protocol_options={
            "headers_with_underscores_action": "DROP_HEADER",
            "idle_timeout": seconds(300),
        },
        request_headers_timeout=seconds(10),
        stream_idle_timeout=seconds(120),
        http_filters=[
            {"name": JWT_FILTER, "typed_config": _authentication(lab, jwks)},
            {"name": limits.FILTER, "typed_config": typed("rate-limit", stat_prefix="team")},
            model_reader.model_reader(),
            callers.callers(),
            {"name": "envoy.filters.http.router", "typed_config": typed("router", suppress_envoy_headers=True)},
        ],
        local_reply_config=_replies(),
        access_log=_access_log(log),
    )


def _cleaned() -> Message:
    """Removes, before a route is chosen, what only the gateway may say, and headers that steer Envoy itself."""
    mutations: list[Message] = [{"remove": name} for name in (*IDENTITY, SHADOW, model_reader.HEADER)]
    mutations.append({"remove_on_match": {"key_matcher": {"prefix": "x-envoy-", "ignore_case": True}}})
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": typed("early-headers", mutations=mutations),
    }


def _authentication(lab: str, jwks: str) -> Message:
    provider = {
        "issuer": issuer(lab),
        "audiences": [AUDIENCE],
        "require_expiration": True,
        "local_jwks": {"inline_string": jwks},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "from_cookies": [COOKIE],
        "forward": True,
        # A signature is checked once per token and worker; expiry still at every request.
        "jwt_cache_config": {"jwt_cache_size": 500},
        "claim_to_headers": [{"header_name": header, "claim_name": claim} for header, claim in IDENTITY.items()],
    }
    token = {"provider_name": "lab"}
    return typed(
        "jwt",
        providers={"lab": provider},
        requirement_map={REQUIREMENT: token},
        rules=[{"match": {"prefix": "/"}, "requires": token}],
    )


def _replies() -> Message:
    """Answers that Envoy gives itself are `{"error": ..., "remedy": ...}`, as control's are; gRPC takes one text."""
    return {
        "mappers": [
            *(_call_mapper(code) for code in _CALL_STATUS),
            *(_mapper(code) for code in _ERRORS),
        ],
        "body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%"}},
    }


def _mapper(code: int) -> Message:
    error, remedy = _ERRORS[code]
    return {
        "filter": _status(code),
        "body_format_override": {"json_format": {"error": error, "remedy": remedy}},
    }


def _call_mapper(code: int) -> Message:
    """An answer to gRPC; `code` 0 is every other."""
    call = {"header_filter": {"header": {"name": "content-type", "string_match": {"prefix": "application/grpc"}}}}
    mapper: Message = {
        "filter": {"and_filter": {"filters": [call, _status(code)]}} if code else call,
        "body_format_override": {"text_format_source": {"inline_string": _CALL_ERRORS.get(code, "%LOCAL_REPLY_BODY%")}},
    }
    if not code:
        return mapper
    header = {"key": "grpc-status", "value": _CALL_STATUS[code]}
    return {**mapper, "headers_to_add": [{"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}]}


def _status(code: int) -> Message:
    comparison = {"op": "EQ", "value": {"default_value": code, "runtime_key": "unused"}}
    return {"status_code_filter": {"comparison": comparison}}


def _access_log(path: Path) -> list[Message]:
    """One JSON line per request; neither tokens nor queries, and not the path of a login, which holds its code."""
    fields = {
        "t": "%START_TIME%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "route": "%ROUTE_NAME%",
        "method": "%REQ(:METHOD)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS_NUMBER%",
        "flags": "%RESPONSE_FLAGS%",
        "upstream": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "ms": "%DURATION%",
        "bytes_in": "%BYTES_RECEIVED%",
        "bytes_out": "%BYTES_SENT%",
        "user": "%REQ(X-ARCHLAB-USER)%",
        "team": "%REQ(X-ARCHLAB-TEAM)%",
    }
    login = {"name": ":path", "string_match": {"prefix": "/login/"}}
    return [
        _log(path, {**fields, "path": "%PATH(NQ)%"}, {"header_filter": {"header": {**login, "invert_match": True}}}),
        _log(path, fields, {"header_filter": {"header": login}}),
    ]


def _log(path: Path, fields: dict[str, str], which: Message) -> Message:
    config = typed("file-log", path=str(path), log_format={"json_format": fields})
    return {"name": "envoy.access_loggers.file", "filter": which, "typed_config": config}
