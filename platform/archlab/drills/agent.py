"""A region's agent: `python -m archlab.drills.agent` is the main process of a region's pod.

It does on a call exactly what a drill on one machine does itself (`archlab.drills.local`), with the pod's Postgres,
service and link. It starts nothing by itself: a container that is started again is an empty region, and no second
primary. When its pod is deleted it is gone at once, and everything in the container with it.
"""

from __future__ import annotations

import hmac
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from archlab.drills.calls import PATH, TOKEN, Call, Failure, Reply
from archlab.drills.keeping import ARCHIVE, LocalKept
from archlab.drills.local import ARCHIVE_EVERY_S, LocalRegion
from archlab.drills.running import Running
from archlab.errors import ArchlabError, NotFoundError
from archlab.files import write_atomic
from archlab.recovery import replication
from archlab.recovery.archive import archiving
from archlab.recovery.programs import postgres_programs
from archlab.recovery.server import HOST, Server, Upstream
from archlab.recovery.shaping import Shape
from archlab.settings import LabFolder

AGENT_PORT, SERVICE_PORT, DATABASE_PORT, LINE_PORT = 8000, 8080, 5432, 5433
REGION, OTHER = "ARCHLAB_DRILL_REGION", "ARCHLAB_DRILL_OTHER"
"""Environment: the region's name, and `HOST:PORT` of the other region's database."""
KEPT, SECRETS = "ARCHLAB_DRILL_KEPT", "ARCHLAB_DRILL_SECRETS"
"""Environment: folder of backups and archive, and the mounted Secret's with `token` and `password`."""
ANYBODY = "all"
"""Of pg_hba.conf: a pod's addresses are not known; the password and the network policy decide."""
Act = Callable[..., Any]


def acts(region: LocalRegion) -> Mapping[str, Act]:
    """All that can be called, by name."""
    kept = region.kept
    named: tuple[Act, ...] = (
        *(region.open_line, region.await_line, region.create, region.copy, region.configure, region.start_database),
        *(region.stop_database, region.leave, region.fence_database, region.follow_again, region.start_service),
        *(region.end_service, region.lower_fence, region.says, region.words, region.server.last_words),
    )
    return {
        **{act.__name__: act for act in named},
        "ask": lambda sql, timeout_s, values: region.server.ask(sql, timeout_s=timeout_s, **values),
        "shape": lambda shape, drop: region.shape(Shape.model_validate(shape), drop=drop),
        "kill_database": lambda: region.aim_at_database().act(),
        "hang": lambda: region.aim_to_hang().act(),
        "kept.all": lambda: [backup.model_dump(mode="json") for backup in kept.all()],
        "kept.take": lambda: kept.take().model_dump(mode="json"),
        "kept.prune": kept.prune,
        "kept.spoil": lambda: kept.spoil().model_dump(mode="json"),
        "kept.verify": lambda: [(found.backup.model_dump(mode="json"), found.alert) for found in kept.verify()],
        "kept.open": lambda: kept.open().model_dump(mode="json"),
        "kept.archive_now": kept.archive_now,
        "kept.restore": lambda until: kept.restore(datetime.fromisoformat(until)),
    }


def create_app(region: LocalRegion, token: str, lifespan: Lifespan[Starlette] | None = None) -> Starlette:
    """The agent of one region; only whoever has the token is heard."""
    known = acts(region)

    def carry_out(call: Call) -> Reply:
        try:
            if call.what not in known:
                raise NotFoundError(f"A region does not do {call.what!r}.", f"It does: {', '.join(sorted(known))}.")
            return Reply(value=known[call.what](**call.arguments))
        except ArchlabError as error:
            return Reply(failure=Failure.of(error))
        except (OSError, ValueError, TypeError) as error:
            return Reply(failure=Failure.of(ArchlabError(f"{call.what}: {type(error).__name__}: {error}")))

    async def do(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(TOKEN, "").encode(), token.encode()):
            return JSONResponse({"error": "The token is missing or wrong."}, status_code=401)
        try:
            call = Call.model_validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"error": str(error)}, status_code=422)
        reply = await run_in_threadpool(carry_out, call)
        return Response(reply.model_dump_json(), media_type="application/json")

    async def healthy(_request: Request) -> Response:
        return PlainTextResponse("ok")

    routes = [Route(PATH, do, methods=["POST"]), Route("/healthz", healthy)]
    return Starlette(routes=routes, lifespan=lifespan)


@asynccontextmanager
async def _die_at_once(_app: Starlette) -> AsyncIterator[None]:
    """A deleted pod is a region without power: nothing is finished, and no connection is closed in order.

    As the container's first process it takes all others with it.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
    yield


def lay_out(environment: Mapping[str, str], folder: LabFolder) -> LocalRegion:
    """The region of a pod: its folders are there when this returns, nothing is started.

    Raises:
        UserError: there are no programs of Postgres here.
    """
    name, kept_in = environment[REGION], Path(environment[KEPT])
    for made in (folder.run, folder.log, kept_in / ARCHIVE):
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = folder.root / "password"
    # Postgres' programs use no password that others could read, and what is mounted can be read by the group
    write_atomic(password, (Path(environment[SECRETS]) / "password").read_text())
    settings = {**archiving(kept_in / ARCHIVE, ARCHIVE_EVERY_S), "listen_addresses": "*"}
    programs, own = postgres_programs(), folder.root / name
    made_server = Server(name, own, folder.run, DATABASE_PORT, password, programs, settings, network=ANYBODY)
    running = Running(folder)
    return LocalRegion(
        server=made_server,
        listens=SERVICE_PORT,
        upstream=Upstream(LINE_PORT, replication.slot_name(name)),
        control=folder.socket(f"link-{name}"),
        other=environment[OTHER],
        kept=LocalKept(made_server, kept_in, running),
        running=running,
    )


def main() -> None:
    """Serve until the pod is deleted."""
    region = lay_out(os.environ, LabFolder.from_environment())
    token = (Path(os.environ[SECRETS]) / "token").read_text().strip()
    app, host = create_app(region, token, _die_at_once), os.environ.get("ARCHLAB_DRILL_HOST", HOST)
    uvicorn.run(app, host=host, port=AGENT_PORT, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
