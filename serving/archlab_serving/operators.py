"""The protocol's model repository extension: what is loaded, load, unload; for operators only.

What may be served comes from signed releases alone, so a load takes no configuration and no files. Over REST here; the
functions know nothing of HTTP, so that gRPC may call them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .errors import BadRequestError, ForbiddenError
from .model_file import ModelFile
from .repository import ServedModel
from .watcher import Watcher

SCOPE = "x-archlab-scope"
"""Header with the caller's roles, blank-separated; the gateway sets it from the checked token."""
OPERATOR = "operator"
READY, LOADING, UNAVAILABLE = "READY", "LOADING", "UNAVAILABLE"
_MAX_BODY_BYTES = 1 << 20


class ModelState(NamedTuple):
    """One version; `reason` says why it isn't ready, or what its first request has to wait for."""

    name: str
    version: str
    state: str
    reason: str


def check_scope(scope: str | None) -> None:
    """Lets operators pass.

    Raises:
        ForbiddenError: `scope`, the header's value, is absent or lacks the role.
    """
    if scope is None or OPERATOR not in scope.split():
        raise ForbiddenError(
            f"the model repository needs the role {OPERATOR!r}; this caller has {scope or 'none'}. "
            "Ask through the gateway with the token of somebody who has it"
        )


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Refuses what would bring models from elsewhere; other parameters are passed over.

    Raises:
        BadRequestError: a configuration or a file is given.
    """
    for name in parameters:
        if name == "config" or name.startswith("file:"):
            raise BadRequestError(
                f"parameter {name!r} is not taken: models come from signed releases only; register the version instead"
            )


def index(watcher: Watcher, *, ready_only: bool = False) -> list[ModelState]:
    """Every version that the feed names for this pool, by model and version."""
    loaded = watcher.loaded
    states = [_state(served) for served in loaded.served()]
    for refusal in loaded.refused.values():
        release = refusal.release
        if loaded.find(release.model, release.version) is None:
            reason = f"refused ({refusal.reason}): {refusal.message}"
            states.append(ModelState(release.model, release.version, UNAVAILABLE, reason))
    return sorted(state for state in states if not ready_only or state.state == READY)


async def load(watcher: Watcher, model: str) -> None:
    """Brings every version of the model into memory, and undoes an unload.

    Raises:
        UnknownModelError: no such model is served here.
        UnavailableError: a version can't be loaded; names the reason.
    """
    files = _files(watcher, model)
    watcher.residency.reopen(model, files)
    for file in files:
        with file:
            await watcher.residency.load(file)


def unload(watcher: Watcher, model: str) -> None:
    """Takes the model from memory when its requests are done; 503 until it is loaded again or the server restarts.

    Raises:
        UnknownModelError: no such model is served here.
    """
    watcher.residency.unload(model, _files(watcher, model))


def routes(running: Callable[[], Watcher]) -> list[Route]:
    """The extension's paths; `running` gives the running server's watcher."""

    async def list_models(request: Request) -> Response:
        check_scope(request.headers.get(SCOPE))
        body = await _body(request)
        states = index(running(), ready_only=body.get("ready") is True)
        return _json([state._asdict() for state in states])

    async def load_model(request: Request) -> Response:
        check_scope(request.headers.get(SCOPE))
        check_parameters(_parameters(await _body(request)))
        await load(running(), request.path_params["model"])
        return _json({})

    async def unload_model(request: Request) -> Response:
        check_scope(request.headers.get(SCOPE))
        check_parameters(_parameters(await _body(request)))
        unload(running(), request.path_params["model"])
        return _json({})

    return [
        Route("/v2/repository/index", list_models, methods=["POST"]),
        Route("/v2/repository/models/{model}/load", load_model, methods=["POST"]),
        Route("/v2/repository/models/{model}/unload", unload_model, methods=["POST"]),
    ]


def _state(served: ServedModel) -> ModelState:
    state, reason = _state_of(served.file)
    return ModelState(served.release.model, served.release.version, state, reason)


def _state_of(file: ModelFile) -> tuple[str, str]:
    if file.closed:
        return UNAVAILABLE, "unloaded by an operator"
    if file.backend is not None:
        return READY, ""
    if file.loading is not None:
        return LOADING, ""
    if file.failure is not None:
        return UNAVAILABLE, f"{file.failure.message} ({file.failure.reason})"
    return READY, "not in memory: its next request loads it"


def _files(watcher: Watcher, model: str) -> list[ModelFile]:
    if model not in watcher.loaded.models:
        watcher.loaded.select(model)  # raises what a request would be told
    return [served.file for served in watcher.loaded.models[model].by_version.values()]


async def _body(request: Request) -> dict[str, Any]:
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > _MAX_BODY_BYTES:
            raise BadRequestError(f"the body has more than {_MAX_BODY_BYTES} bytes; this call takes a few parameters")
    if not raw.strip():
        return {}
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON ({error})") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body must be a JSON object")
    return document


def _parameters(body: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = {} if (given := body.get("parameters")) is None else given
    if not isinstance(parameters, dict):
        raise BadRequestError("'parameters' must be an object")
    return parameters


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")
