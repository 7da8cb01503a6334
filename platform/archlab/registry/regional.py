"""A registry whose database has a standby in another region: when it may start, and whether it may be written to."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from archlab.errors import UnavailableError
from archlab.gateway.clusters import PRIMARY
from archlab.recovery.database import IS_PRIMARY, Database

PATIENCE_S = 80.0
_PAUSE_S = 0.2


class SaysPrimary:
    """Answers `/primary`, 200 from the region whose database takes writes; everything else goes on to the registry.

    MLflow answers a write on a standby with 400, which nobody would take elsewhere; so the gateway asks before.
    """

    def __init__(self, app: ASGIApp, place: str) -> None:
        self._app = app
        self._checks = Database(place, 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] != PRIMARY:
            await self._app(scope, receive, send)
            return
        try:
            ((primary,),) = await self._checks.run(IS_PRIMARY)
        except ConnectionError:
            primary = False
        status = HTTPStatus.OK if primary else HTTPStatus.SERVICE_UNAVAILABLE
        await send({"type": "http.response.start", "status": int(status), "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def wait_usable(uri: str, patience_s: float = PATIENCE_S) -> None:
    """Return when MLflow can start on a database: one that takes writes, or a standby that has all of MLflow's tables.

    Args:
        uri: SQLAlchemy's.
        patience_s: how long.

    Raises:
        UnavailableError: not in time.
    """
    from mlflow.store.db.utils import _get_latest_schema_revision
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    newest, engine, deadline = _get_latest_schema_revision(), create_engine(uri), time.monotonic() + patience_s
    why = ""
    try:
        while time.monotonic() < deadline:
            try:
                with engine.connect() as connection:
                    if connection.execute(text(IS_PRIMARY)).scalar():
                        return
                    why = "a standby without MLflow's tables"
                    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
                    begun = connection.execute(text("SELECT count(*) FROM experiments")).scalar()
                    if found == newest and begun:
                        return
            except SQLAlchemyError as error:
                why = why or str(error).splitlines()[0]
            time.sleep(_PAUSE_S)
    finally:
        engine.dispose()
    raise UnavailableError(
        f"The registry's database is not usable after {patience_s:g} s: {why}.", "See: archlab status"
    )
