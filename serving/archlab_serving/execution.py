"""Where inference runs that would keep the event loop waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from .metering import Call
from .runtime import OnnxModel
from .settings import Settings


class Execution:
    """Threads beside the event loop's."""

    def __init__(self, settings: Settings) -> None:
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="inference")

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown(wait=True)

    async def run(self, model: OnnxModel, feeds: Mapping[str, NDArray[Any]], call: Call) -> list[NDArray[Any]]:
        """The model's outputs; the thread's CPU time is the call's."""
        call.pause()
        try:
            loop = asyncio.get_running_loop()
            arrays, cpu_ns = await loop.run_in_executor(self._pool, _timed, model, feeds)
        finally:
            call.resume()
        call.cpu_ns += cpu_ns
        return arrays


def _timed(model: OnnxModel, feeds: Mapping[str, NDArray[Any]]) -> tuple[list[NDArray[Any]], int]:
    started = time.thread_time_ns()
    arrays = model.run(feeds)
    return arrays, time.thread_time_ns() - started
