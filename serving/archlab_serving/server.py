"""One server's parts, wired together."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

from .about import About
from .device_metrics import DeviceMetrics
from .engine import Engine
from .metrics import Metrics
from .prediction_log import PredictionLog
from .rest import Endpoint
from .settings import Settings
from .watcher import Watcher

if TYPE_CHECKING:
    from .rpc import RpcServer

FLUSH_S = 0.2


class Server:
    """Lives from ASGI's start-up to its shutdown."""

    def __init__(self, settings: Settings, runtime: str = "uvicorn") -> None:
        self.settings = settings
        self.metrics = Metrics(settings, runtime)
        self.log = PredictionLog(settings.prediction_log, self.metrics)
        self.watcher = Watcher(settings, self.metrics)
        self.about = About(self.watcher)
        self.metrics.registry.register(DeviceMetrics(self.watcher.residency.devices))
        self.engine = Engine(settings, self.watcher, self.metrics, self.log)
        self.endpoint = Endpoint(settings, self.engine)
        self._rpc: RpcServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to follow the feed, to write the log and, where an address is set, to speak gRPC.

        Raises:
            ConfigurationError: nothing can listen on gRPC's address.
        """
        gc.collect()
        gc.freeze()  # a full collection would stop all requests for 30 ms to walk through the imported modules again
        self._tasks = [asyncio.create_task(self.watcher.follow()), asyncio.create_task(self._flush())]
        if self.settings.grpc:
            from .rpc import RpcServer  # 12 MB, which a server without gRPC does without

            self._rpc = RpcServer(self.settings, self.engine, self.about, self.watcher)
            await self._rpc.start()

    async def stop(self) -> None:
        """Ends gRPC and the tasks, and writes what the log still holds; requests over HTTP must be done."""
        if self._rpc is not None:
            await self._rpc.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.engine.close()
        self.watcher.close()
        self.log.flush()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            if self.log.pending:
                await asyncio.to_thread(self.log.flush)
