"""`uvicorn archlab.control.app:app --uds SOCKET`, with the lab's folder in ARCHLAB_LAB."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

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
_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the lab, follow the registry, close again."""
    service = Service(LabFolder.from_environment())
    app.state.service = service
    works: list[tuple[Callable[[], bool | None], float]] = [
        (service.follow, FOLLOW_EVERY_S),
        (service.take_in, TAKE_IN_EVERY_S),
    ]
    if on_cluster():
        works.append((service.scale, SCALE_EVERY_S))
    tasks = [asyncio.create_task(repeat(*work)) for work in works]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    service.close()


async def repeat(work: Callable[[], bool | None], every_s: float) -> None:
    """Do a round of work again and again, at once while there is more; one that fails in any way ends no other."""
    while True:
        try:
            more = await run_in_threadpool(work)
        except Exception:  # noqa: BLE001 - whatever it was, the next round is to come
            _log.exception("a round of %s failed; the next follows", getattr(work, "__name__", "work"))
            more = False
        await asyncio.sleep(0 if more else every_s)


app = Starlette(
    routes=routes(),
    lifespan=lifespan,
    exception_handlers={ArchlabError: on_error, HTTPException: on_error, Exception: on_error},
    max_body_size=MAX_BODY_BYTES,
)
"""The control process of the lab that ARCHLAB_LAB names."""
