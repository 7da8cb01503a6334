"""What a region runs in a drill: takes numbered writes into its Postgres, answers reads, says whether it is primary.

`uvicorn archlab.drills.service:app`; ARCHLAB_DRILL_DATABASE says where the database is: `folder of its socket:port`.
A write may be sent again: its number makes it the same write.
"""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from archlab.recovery.database import IS_PRIMARY, Database

DATABASE = "ARCHLAB_DRILL_DATABASE"
TABLE = "CREATE TABLE IF NOT EXISTS drill_writes (number bigint PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())"
WRITE = (
    # A write that comes again must leave a record too. "DO NOTHING" would leave none and wait for no standby: a commit
    # that never reached the other region could be acknowledged by the attempt after it.
    "INSERT INTO drill_writes (number) VALUES (:number) ON CONFLICT (number) DO UPDATE SET at = drill_writes.at"
)
WORKERS = 8
PAGE = 20_000


def create_app(place: str) -> Starlette:
    """The service of one region."""
    # writes that wait for the other region must not keep health checks waiting
    database, checks = Database(place, WORKERS), Database(place, 1)

    async def write(request: Request) -> Response:
        number = int(request.path_params["number"])
        await database.run(WRITE, number=number)
        return JSONResponse({"number": number}, status_code=201)

    async def read(request: Request) -> Response:
        number = int(request.path_params["number"])
        found = await database.run("SELECT FROM drill_writes WHERE number = :number", number=number)
        return JSONResponse({"number": number, "found": bool(found)}, status_code=200 if found else 404)

    async def listing(request: Request) -> Response:
        after = int(request.query_params.get("after", "-1"))
        found = await database.run(
            "SELECT number FROM drill_writes WHERE number > :after ORDER BY 1 LIMIT :page", after=after, page=PAGE
        )
        return JSONResponse({"numbers": [row[0] for row in found]})

    async def primary(_request: Request) -> Response:
        (row,) = await checks.run(IS_PRIMARY)
        return JSONResponse({"primary": row[0]}, status_code=200 if row[0] else 503)

    async def unavailable(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=503)

    routes = [
        Route("/writes/{number:int}", write, methods=["PUT"]),
        Route("/writes/{number:int}", read),
        Route("/writes", listing),
        Route("/primary", primary),
    ]
    return Starlette(routes=routes, exception_handlers={ConnectionError: unavailable})


def __getattr__(name: str) -> Starlette:
    """`app`, made when uvicorn asks for it."""
    if name == "app":
        return create_app(os.environ[DATABASE])
    raise AttributeError(name)
