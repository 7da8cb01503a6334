"""The same server as a BentoML service: BentoML's own application and middleware in front of `archlab_serving.app`.

This is the module that a Bento names; `archlab_serving.bento` builds it and runs what was built.
"""

from __future__ import annotations

import contextlib
from typing import Any

import bentoml

from archlab_serving.app import App

app = App(runtime="bento")
"""Mounted as plain ASGI, so that the service's hooks own its start and end."""


class InferenceServer:
    """Open Inference Protocol V2 over the releases of one pool."""

    def __init__(self) -> None:
        self._exit = contextlib.AsyncExitStack()

    async def start(self) -> None:
        """Begins to follow the release feed."""
        await self._exit.enter_async_context(app.lifespan(self))

    async def stop(self) -> None:
        """Writes what the prediction log still holds."""
        await self._exit.aclose()

    async def __is_ready__(self) -> bool:
        return app.server.watcher.ready

    def __metrics__(self, content: str) -> str:
        """BentoML's metrics, and the server's own."""
        return content + app.server.metrics.text().decode()


bentoml.on_startup(InferenceServer.start)
bentoml.on_shutdown(InferenceServer.stop)
InferenceService: Any = bentoml.service(name="archlab_serving", logging={"access": {"enabled": False}})(InferenceServer)
InferenceService.mount_asgi_app(app, path="/", name="v2")
