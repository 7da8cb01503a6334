"""A registry on a pair of databases: the primary's alone says that it takes writes, a standby's waits for MLflow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from archlab.errors import UnavailableError
from archlab.gateway.clusters import PRIMARY
from archlab.recovery import replication, server
from archlab.recovery.server import Server
from archlab.registry import DATABASE, regional_environment
from archlab.registry.regional import SaysPrimary, wait_usable
from archlab.registry.store import DESTINATION
from archlab.settings import LabFolder
from recovery_pair import WEST, Pair

pytestmark = pytest.mark.slow


def place_of(found: Server) -> str:
    return f"{found.sockets}:{found.port}"


def uri_of(found: Server, lab: Path) -> str:
    env = regional_environment(LabFolder(lab), place_of(found), lab / "west" / "artifacts")
    assert env[DATABASE] == place_of(found)
    assert env[DESTINATION] == str(lab / "west" / "artifacts"), "each region has files of versions of its own"
    return env["_MLFLOW_SERVER_FILE_STORE"]


def asked(found: Server, path: str) -> tuple[int, str]:
    registry = Starlette(routes=[Route("/mlflow/health", lambda _: PlainTextResponse("the registry's"))])

    async def ask() -> tuple[int, str]:
        transport = httpx.ASGITransport(SaysPrimary(registry, place_of(found)))
        async with httpx.AsyncClient(transport=transport, base_url="http://registry") as client:
            answer = await client.get(path)
            return answer.status_code, answer.text

    return asyncio.run(ask())


def test_exactly_the_primary_says_so_whatever_becomes_of_it(pair: Pair) -> None:
    assert (asked(pair.east, PRIMARY)[0], asked(pair.west, PRIMARY)[0]) == (200, 503)
    assert asked(pair.west, "/mlflow/health") == (200, "the registry's"), "everything else is the registry's"
    server.fence(pair.east, "west takes over from it")
    assert asked(pair.east, PRIMARY)[0] == 503
    replication.promote(pair.west)
    assert asked(pair.west, PRIMARY)[0] == 200


def test_on_a_standby_mlflow_waits_for_its_tables_and_its_first_experiment(pair: Pair, tmp_path: Path) -> None:
    wait_usable(uri_of(pair.east, tmp_path), patience_s=10)
    with pytest.raises(UnavailableError, match="a standby without MLflow's tables"):
        wait_usable(uri_of(pair.west, tmp_path), patience_s=0.5)
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    SqlAlchemyStore(uri_of(pair.east, tmp_path), str(tmp_path / "artifacts"))
    replication.wait_streaming(pair.east, [WEST])
    wait_usable(uri_of(pair.west, tmp_path), patience_s=10)
    standby = SqlAlchemyStore(uri_of(pair.west, tmp_path), str(tmp_path / "artifacts"))
    assert [e.name for e in standby.search_experiments()] == ["Default"], "it starts and reads there"
