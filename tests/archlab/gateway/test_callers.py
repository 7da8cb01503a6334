"""Which teams the gateway lets call a model, over REST and gRPC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from open_inference.grpc import protocol as pb

from archlab import identity
from archlab.spec.plan import Plan
from archlab.spec.scenario import User

from .conftest import Gateway, make_plan, running_gateway, to

INFER = "/inference.GRPCInferenceService/ModelInfer"
CALLERS: Mapping[str, tuple[str, ...] | None] = {
    "flight-time": ("network-planning", "platform"),
    "open": None,
    "nobodys": (),
}


def plan(lab: str, callers: Mapping[str, tuple[str, ...] | None]) -> Plan:
    found = make_plan(lab, {model: to() for model in callers})
    routes = tuple(r.model_copy(update={"callers": callers[r.model]}) for r in found.routes)
    return found.model_copy(update={"routes": routes})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("g"), lambda lab: plan(lab, CALLERS)) as found:
        yield found


def of(gateway: Gateway, team: str) -> str:
    return identity.mint(gateway.folder, User(name="caller", team=team, roles=("viewer",)))


def ask(gateway: Gateway, team: str, path: str, **headers: str) -> httpx.Response:
    sent = {"authorization": f"Bearer {of(gateway, team)}", **headers}
    return httpx.get(gateway.url + path, headers=sent, timeout=60)


def call(gateway: Gateway, team: str, model: str, *metadata: tuple[str, str]) -> str:
    """Code of what a call ends with."""
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        ask: Any = channel.unary_unary(INFER)
        message = pb.ModelInferRequest(model_name=model).SerializeToString()
        try:
            ask(message, metadata=(("authorization", f"Bearer {of(gateway, team)}"), *metadata), timeout=60)
        except grpc.RpcError as error:
            found: Any = error
            return f"{found.code().name}: {found.details()}"
    return "OK"


@pytest.mark.parametrize("path", ["", "/infer", "/ready", "/versions/1/infer", "/versions/2"])
def test_every_path_of_a_model_is_for_its_callers(gateway: Gateway, path: str) -> None:
    assert ask(gateway, "network-planning", f"/v2/models/flight-time{path}").status_code == 200
    assert ask(gateway, "platform", f"/v2/models/flight-time{path}").status_code == 200
    refused = ask(gateway, "revenue", f"/v2/models/flight-time{path}")
    assert refused.status_code == 403
    assert refused.json()["error"].startswith("Team revenue may not use flight-time")
    assert "archlab access explain" in refused.json()["remedy"]


def test_a_call_is_compared_when_its_model_is_known(gateway: Gateway) -> None:
    assert call(gateway, "network-planning", "flight-time") == "OK"
    assert call(gateway, "revenue", "flight-time").startswith("PERMISSION_DENIED: Team revenue may not use flight-time")
    assert call(gateway, "revenue", "open") == "OK"
    assert call(gateway, "platform", "nobodys").startswith("PERMISSION_DENIED")


def test_nobody_names_a_team_by_header(gateway: Gateway) -> None:
    for name in ("x-archlab-team", "X-Archlab-Team", "x_archlab_team"):
        assert ask(gateway, "revenue", "/v2/models/flight-time", **{name: "network-planning"}).status_code == 403
    assert call(gateway, "revenue", "flight-time", ("x-archlab-team", "platform")).startswith("PERMISSION_DENIED")
    assert call(gateway, "revenue", "flight-time", ("x-archlab-model", "open")).startswith("PERMISSION_DENIED")


@pytest.mark.parametrize("path", ["//v2/models/flight-time", "/v2/models/./flight-time", "/v2/x/../models/flight-time"])
def test_no_other_spelling_of_the_path_helps(gateway: Gateway, path: str) -> None:
    status, body = gateway.raw(path, ("Authorization", f"Bearer {of(gateway, 'revenue')}"))
    assert (status, body["error"][:13]) == (403, "Team revenue ")


def test_a_model_without_callers_is_for_nobody_and_one_of_before_for_all(gateway: Gateway) -> None:
    assert ask(gateway, "platform", "/v2/models/nobodys").status_code == 403
    assert ask(gateway, "revenue", "/v2/models/open").status_code == 200


def test_a_grant_takes_effect_without_a_new_listener(tmp_path: Path) -> None:
    with (
        running_gateway(tmp_path, lambda lab: plan(lab, CALLERS)) as gateway,
        httpx.Client(headers={"authorization": f"Bearer {of(gateway, 'revenue')}"}) as client,
    ):
        address = f"{gateway.url}/v2/models/flight-time"
        assert client.get(address).status_code == 403
        gateway.roll_out(plan(gateway.folder.name, {**CALLERS, "flight-time": ("network-planning", "revenue")}))
        assert client.get(address).status_code == 200
        gateway.roll_out(plan(gateway.folder.name, CALLERS))
        assert client.get(address).status_code == 403
