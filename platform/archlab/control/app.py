"""`uvicorn archlab.control.app:app --uds SOCKET`, with the lab's folder in ARCHLAB_LAB."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from archlab.addresses import on_cluster
from archlab.control.calls import routes
from archlab.control.edge import on_error
from archlab.control.service import Service
from archlab.errors import ArchlabError
from archlab.settings import LabFolder

FOLLOW_EVERY_S = 5.0
TAKE_IN_EVERY_S = 1.0
SCALE_EVERY_S = 5.0
MAX_BODY_BYTES = 64 << 20


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the lab, follow the registry, close again."""
    service = Service(LabFolder.from_environment())
    app.state.service = service
    works = (_follow, _take_in, *((_scale,) if on_cluster() else ()))
    tasks = [asyncio.create_task(work(service)) for work in works]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    service.close()


async def _follow(service: Service) -> None:
    while True:
        await run_in_threadpool(service.follow)
        await asyncio.sleep(FOLLOW_EVERY_S)


async def _take_in(service: Service) -> None:
    while True:
        more = await run_in_threadpool(service.take_in)
        await asyncio.sleep(0 if more else TAKE_IN_EVERY_S)


async def _scale(service: Service) -> None:
    while True:
        await run_in_threadpool(service.scale)
        await asyncio.sleep(SCALE_EVERY_S)


app = Starlette(
    routes=routes(),
    lifespan=lifespan,
    exception_handlers={ArchlabError: on_error, HTTPException: on_error, Exception: on_error},
    max_body_size=MAX_BODY_BYTES,
)
"""The control process of the lab that ARCHLAB_LAB names."""
