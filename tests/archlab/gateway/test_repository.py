"""The model repository extension's path through a real Envoy: to control, which knows who may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.archlab.gateway.conftest import Gateway

INDEX = "/v2/repository/index"


def test_the_repository_is_controls(gateway: Gateway) -> None:
    for path in ("index", "models/flight-time/load", "models/flight-time/unload"):
        seen = httpx.post(f"{gateway.url}/v2/repository/{path}", headers=gateway.bearer, content=b"{}").json()
        assert (seen["name"], seen["path"]) == ("control", f"/repository/{path}")


def test_nobody_without_a_token_reaches_it(gateway: Gateway) -> None:
    assert httpx.post(gateway.url + INDEX, content=b"{}").status_code == 401


def test_a_scope_from_outside_is_not_passed_on(gateway: Gateway) -> None:
    forged = {**gateway.bearer, "x-archlab-scope": "operator"}
    seen = httpx.post(gateway.url + INDEX, headers=forged, content=b"{}").json()
    assert [value for name, value in seen["headers"] if name == "x-archlab-scope"] == ["viewer developer"]


def test_a_models_path_does_not_lead_to_a_servers_own_repository(gateway: Gateway) -> None:
    for path in ("/v2/models/flight-time/../../repository/index", "/v2/models/flight-time/..%2f..%2frepository/index"):
        status, body = gateway.raw(path, ("authorization", f"Bearer {gateway.token}"))
        assert status >= 400 or body.get("path") == "/repository/index", (status, body)
