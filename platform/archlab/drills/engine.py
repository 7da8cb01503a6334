"""A policy engine in a process of its own, where there is no OPA program: `uvicorn archlab.drills.engine:app`.

It speaks what the platform's client needs of OPA's REST API (openpolicyagent.org, REST API: Policy, Data, Health) and
decides with rego-cpp, as the embedded engine does. Like OPA it knows no rules when it starts.
"""

from __future__ import annotations

import json
import threading

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from archlab.policy.bundle import ENTRY
from archlab.policy.interpreter import Program, RegoError


class Rules:
    """The modules that were put here, compiled when they are first asked."""

    def __init__(self) -> None:
        self._modules: dict[str, str] = {}
        self._program: Program | None = None
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Of the modules."""
        return sorted(self._modules)

    def put(self, name: str, text: str | None) -> None:
        """Take a module in; without a text it goes."""
        with self._lock:
            self._modules = {n: t for n, t in self._modules.items() if n != name} | ({name: text} if text else {})
            self._program = None

    def decide(self, document: str) -> dict[str, object]:
        """OPA's answer to an input; without `result` where there are no rules.

        Raises:
            RegoError: the rules don't compile, or one of them fails.
        """
        with self._lock:
            if not self._modules:
                return {}
            self._program = self._program or Program(self._modules, ENTRY)
            value = self._program.evaluate(document)
        return {} if value is None else {"result": value}


def create_app() -> Starlette:
    """The engine, without rules."""
    rules = Rules()

    async def put(request: Request) -> Response:
        rules.put(request.path_params["name"], (await request.body()).decode())
        return JSONResponse({})

    async def delete(request: Request) -> Response:
        rules.put(request.path_params["name"], None)
        return JSONResponse({})

    async def listing(_request: Request) -> Response:
        return JSONResponse({"result": [{"id": name} for name in rules.names]})

    async def decide(request: Request) -> Response:
        document = json.dumps((await request.json())["input"])
        return JSONResponse(await run_in_threadpool(rules.decide, document))

    async def healthy(_request: Request) -> Response:
        return JSONResponse({})

    async def failed(_request: Request, error: Exception) -> Response:
        return JSONResponse({"code": "internal_error", "message": str(error)}, status_code=500)

    routes = [
        Route("/v1/policies/", listing),
        Route("/v1/policies/{name:path}", put, methods=["PUT"]),
        Route("/v1/policies/{name:path}", delete, methods=["DELETE"]),
        Route("/v1/data/archlab/decision", decide, methods=["POST"]),
        Route("/health", healthy),
    ]
    return Starlette(routes=routes, exception_handlers={RegoError: failed})


app = create_app()
"""The process's engine."""
