"""One server's parts, wired together."""

from __future__ import annotations

import asyncio

from .about import About
from .device_metrics import DeviceMetrics
from .engine import Engine
from .metrics import Metrics
from .prediction_log import PredictionLog
from .rest import Endpoint
from .settings import Settings
from .watcher import Watcher

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
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to follow the feed and to write the log; returns at once."""
        self._tasks = [asyncio.create_task(self.watcher.follow()), asyncio.create_task(self._flush())]

    async def stop(self) -> None:
        """Ends the tasks and writes what the log still holds; requests must be done."""
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
