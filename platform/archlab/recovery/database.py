"""Connections to one Postgres for a service with many callers: one per thread, made anew when one fails."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from pg8000.exceptions import DatabaseError, InterfaceError
from pg8000.native import Connection

TIMEOUT_S = 5.0
IS_PRIMARY = "SELECT NOT pg_is_in_recovery()"


class Database:
    """Connections to one Postgres.

    Args:
        place: `folder of its socket:port`.
        workers: how many statements at once.
    """

    def __init__(self, place: str, workers: int) -> None:
        folder, _, port = place.rpartition(":")
        self._socket = f"{folder}/.s.PGSQL.{port}"
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(max_workers=workers)

    async def run(self, sql: str, **values: Any) -> list[list[Any]]:
        """Rows of a statement.

        Raises:
            ConnectionError: the database does not answer in time, or refuses (a standby takes no writes).
        """
        asked: Callable[[], list[list[Any]]] = partial(self._run, sql, values)
        return await asyncio.get_running_loop().run_in_executor(self._pool, asked)

    def _run(self, sql: str, values: dict[str, Any]) -> list[list[Any]]:
        try:
            return [list(row) for row in self._connection().run(sql, **values) or ()]
        except (DatabaseError, InterfaceError, OSError) as error:
            self._forget()
            raise ConnectionError(str(error)) from None

    def _connection(self) -> Connection:
        if getattr(self._local, "made", None) is None:
            plug = socket.socket(socket.AF_UNIX)
            plug.settimeout(TIMEOUT_S)
            try:
                plug.connect(self._socket)
                self._local.made = Connection("archlab", database="postgres", sock=plug, ssl_context=False)
            except BaseException:
                plug.close()
                raise
            self._local.plug = plug
        return self._local.made

    def _forget(self) -> None:
        if getattr(self._local, "made", None) is not None:
            with suppress(Exception):
                self._local.plug.close()
            self._local.made = None
