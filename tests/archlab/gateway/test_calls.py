"""gRPC through a real Envoy: calls find their model's replicas by what their messages say."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from open_inference.grpc import protocol as pb

from archlab import identity
from archlab.gateway.admin import Admin
from archlab.gateway.configuration import GatewayFiles
from archlab.spec.plan import Backend, Plan, Role, Route, Shadow, Unit
from archlab.spec.scenario import User

if TYPE_CHECKING:
    from tests.archlab.gateway.conftest import Gateway

Until = Callable[[Callable[[], object], str], None]
SERVICE = "/inference.GRPCInferenceService/"
INFER = f"{SERVICE}ModelInfer"
SLOW = User(name="sam", team="slow", roles=("viewer",))


@dataclass
class Calls:
    """A channel to a gateway."""

    gateway: Gateway
    channel: grpc.Channel

    def ask(self, method: str, message: bytes, *metadata: tuple[str, str], **options: Any) -> dict[str, Any]:
        """What reached the server."""
        token = options.pop("token", self.gateway.token)
        bearer = () if token is None else (("authorization", f"Bearer {token}"),)
        call: Any = self.channel.unary_unary(method)
        reply = call(message, metadata=(*bearer, *metadata), timeout=options.pop("timeout", 60), **options)
        seen: dict[str, Any] = json.loads(reply)
        return {**seen, "headers": dict(seen["headers"])}

    def error(self, method: str, message: bytes, *metadata: tuple[str, str], **options: Any) -> tuple[str, str]:
        """Code and text of a refusal."""
        with pytest.raises(grpc.RpcError) as caught:
            self.ask(method, message, *metadata, **options)
        error: Any = caught.value
        return error.code().name, error.details()


def infer(model: str, size: int = 0) -> bytes:
    contents = [bytes(size)] if size else []
    return pb.ModelInferRequest(model_name=model, raw_input_contents=contents).SerializeToString()


def calls_to(gateway: Gateway) -> Iterator[Calls]:
    with grpc.insecure_channel(f"127.0.0.1:{gateway.port}") as channel:
        yield Calls(gateway, channel)


@pytest.fixture
def calls(gateway: Gateway) -> Iterator[Calls]:
    yield from calls_to(gateway)


@pytest.fixture
def own_calls(own_gateway: Gateway) -> Iterator[Calls]:
    yield from calls_to(own_gateway)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("ModelInfer", pb.ModelInferRequest(model_name="small", id="1")),
        ("ModelMetadata", pb.ModelMetadataRequest(name="small", version="2")),
        ("ModelReady", pb.ModelReadyRequest(name="small")),
    ],
)
def test_a_call_goes_where_its_message_says(calls: Calls, method: str, message: Any) -> None:
    seen = [calls.ask(SERVICE + method, message.SerializeToString()) for _ in range(4)]
    assert {s["name"] for s in seen} == {"online-0"}
    assert seen[0]["path"] == SERVICE + method
    assert seen[0]["size"] == message.ByteSize()
    assert seen[0]["headers"]["x-archlab-model"] == "small"
    assert seen[0]["headers"]["x-archlab-team"] == "operations"
    assert {calls.ask(INFER, infer("flight-time"))["name"] for _ in range(6)} == {"online-0", "online-1"}


def test_no_header_outvotes_the_message(calls: Calls) -> None:
    for name in ("x-archlab-model", "x_archlab_model"):
        seen = calls.ask(INFER, infer("flight-time"), (name, "small"), (name, "none"))
        assert seen["headers"]["x-archlab-model"] == "flight-time"
    assert calls.error(INFER, infer("none"), ("x-archlab-model", "small"))[0] == "NOT_FOUND"
    rest = calls.gateway.get("/v2/models/small/infer", {"x-archlab-model": "none"}).json()
    assert "x-archlab-model" not in dict(rest["headers"])


@pytest.mark.parametrize(
    ("message", "code", "text"),
    [
        (infer("none"), "NOT_FOUND", "No model of that name is deployed."),
        (infer("small:\r\nx-archlab-user: eve"), "NOT_FOUND", "No model"),
        (infer("m" * 5000), "NOT_FOUND", "No model"),
        (b"\x0a\x7fsmall", "NOT_FOUND", "No model"),
        (b"\x0a", "NOT_FOUND", "No model"),
        (infer(""), "INVALID_ARGUMENT", "doesn't begin with its model's name"),
        (b"\x1a\x01x" + infer("small"), "INVALID_ARGUMENT", "doesn't begin with its model's name"),
        (b"\xff\xfe", "INVALID_ARGUMENT", "doesn't begin with its model's name"),
    ],
)
def test_what_names_no_model_is_refused(calls: Calls, message: bytes, code: str, text: str) -> None:
    found, details = calls.error(INFER, message)
    assert found == code
    assert text in details


def test_a_compressed_message_is_refused(calls: Calls) -> None:
    code, text = calls.error(INFER, infer("small", 10_000), compression=grpc.Compression.Gzip)
    assert code == "UNIMPLEMENTED"
    assert "send it uncompressed" in text


@pytest.mark.parametrize("method", [INFER, f"{SERVICE}ServerLive", "/other.Service/Method"])
def test_nothing_without_a_token(calls: Calls, method: str) -> None:
    code, text = calls.error(method, infer("small"), token=None)
    assert code == "UNAUTHENTICATED"
    assert "Jwt is missing" in text
    assert "archlab token" in text


def test_what_is_not_offered_is_unimplemented(calls: Calls) -> None:
    for method in (f"{SERVICE}ModelStreamInfer", f"{SERVICE}TraceSetting", "/other.Service/Method"):
        assert calls.error(method, infer("small"))[0] == "UNIMPLEMENTED"
    code, text = calls.error(f"{SERVICE}RepositoryModelLoad", infer("small"))
    assert code == "UNIMPLEMENTED"
    assert "/v2/repository/" in text


def test_servers_and_their_health_are_asked(calls: Calls) -> None:
    for method in ("ServerLive", "ServerReady", "ServerMetadata"):
        assert calls.ask(SERVICE + method, b"")["name"].startswith("online-")
    health: Any = calls.channel.unary_unary("/grpc.health.v1.Health/Check")
    assert health(b"", metadata=[("authorization", f"Bearer {calls.gateway.token}")], timeout=60) == b"\x08\x01"


def test_a_team_has_its_limit(calls: Calls) -> None:
    slow = identity.mint(calls.gateway.folder, SLOW)

    def status() -> str:
        try:
            calls.ask(INFER, infer("flight-time"), token=slow)
        except grpc.RpcError as error:
            refused: Any = error
            assert "limit" in refused.details()
            return str(refused.code().name)
        return "OK"

    counts = Counter(status() for _ in range(20))
    assert set(counts) == {"OK", "RESOURCE_EXHAUSTED"}
    assert counts["RESOURCE_EXHAUSTED"] >= 10
    assert calls.ask(INFER, infer("flight-time"))


def test_a_canary_gets_its_share_by_version(calls: Calls) -> None:
    def versions(count: int, *metadata: tuple[str, str]) -> Counter[str | None]:
        asked = (calls.ask(INFER, infer("departure-delay"), *metadata) for _ in range(count))
        return Counter(seen["headers"].get("x-archlab-version") for seen in asked)

    found = versions(600)
    assert set(found) == {None, "7"}
    assert 70 <= found["7"] <= 175  # 120 expected; six standard deviations each way
    assert set(versions(60, ("x-archlab-version", "2"))) == {"2"}


def test_an_unavailable_and_a_hanging_replica_are_passed_over(calls: Calls) -> None:
    for trouble in ("x-test-fail-on", "x-test-hang-on"):
        for _ in range(2):
            assert calls.ask(INFER, infer("flight-time"), (trouble, "online-0"))["name"] == "online-1"
    large = calls.ask(INFER, infer("flight-time", 6 << 20), ("x-test-fail-on", "online-0"))
    assert large["size"] > 6 << 20


def test_errors_of_a_server_are_its_own(calls: Calls) -> None:
    assert calls.error(INFER, infer("small"), ("x-test-status", "500")) == ("UNAVAILABLE", "told to by the test: 500")


def test_a_model_that_hangs_everywhere_ends_with_the_deadline(calls: Calls) -> None:
    code, text = calls.error(INFER, infer("flight-time"), ("x-test-hang-on", "all"))
    assert (code, text) == ("DEADLINE_EXCEEDED", "No answer in time. See: archlab status")


@pytest.mark.parametrize("size", [1 << 20, 8_380_000])
def test_large_messages_pass(calls: Calls, size: int) -> None:
    assert calls.ask(INFER, infer("flight-time", size))["size"] > size


@pytest.mark.parametrize("size", [(8 << 20) + 100, 20 << 20])
def test_too_large_messages_are_refused(calls: Calls, size: int) -> None:
    code, _ = calls.error(INFER, infer("flight-time", size))
    assert code == "RESOURCE_EXHAUSTED"
    assert calls.ask(INFER, infer("flight-time"))


def test_the_access_log_has_grpcs_status(calls: Calls, until: Until) -> None:
    calls.error(INFER, infer("none"), ("x-request-id", "not-there"))
    log = GatewayFiles.of(calls.gateway.folder).access_log
    until(lambda: "not-there" in log.read_text(), "the call is logged")
    line = next(json.loads(x) for x in log.read_text().splitlines() if "not-there" in x)
    assert (line["route"], line["grpc_status"], line["path"]) == ("no-model", 5, INFER)


class Load:
    """Calls all the time, and remembers every outcome."""

    def __init__(self, calls: Calls, connections: int = 4) -> None:
        self.answers: list[str] = []
        self._calls, self._done = calls, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()

    def more(self, count: int, until: Until) -> None:
        wanted = len(self.answers) + count
        until(lambda: len(self.answers) >= wanted, f"{count} more answers")

    def _ask(self) -> None:
        while not self._done.is_set():
            try:
                self.answers.append(self._calls.ask(INFER, infer("flight-time"))["name"])
            except grpc.RpcError as error:
                failed: Any = error
                self.answers.append(f"{failed.code().name}: {failed.details()}")


def plan(replicas: int, *backends: Backend, shadow: Shadow | None = None) -> Plan:
    units = [Unit(name=r.value, role=r, replicas=1) for r in (Role.GATEWAY, Role.REGISTRY, Role.CONTROL)]
    server = Unit(name="online", role=Role.SERVER, replicas=replicas, pool="online", serves="onnx")
    route = Route(model="flight-time", team="operations", backends=backends, shadow=shadow)
    return Plan(lab="lab", scenario="test", seed=1, units=(*units, server), routes=(route,), reservations=(), limits={})


def to(replicas: int, weight: int = 100, version: str = "") -> Backend:
    return Backend(unit="online", replicas=replicas, weight=weight, version=version)


def test_changed_routes_and_lost_replicas_cost_no_call(own_calls: Calls, until: Until) -> None:
    gateway = own_calls.gateway
    with Load(own_calls) as load:
        for change in (plan(3, to(3)), plan(3, to(2, 50), to(2, 50, "9")), plan(3, to(3))):
            gateway.roll_out(change)
            load.more(60, until)
        gateway.upstreams.kill("online-0")
        load.more(300, until)
        gateway.upstreams.stop("online-1")
        load.more(300, until)
        assert set(load.answers[-100:]) == {"online-2"}
    assert set(load.answers) == {"online-0", "online-1", "online-2"}


def test_an_unwell_replica_gets_no_calls(own_calls: Calls, until: Until) -> None:
    own_calls.gateway.roll_out(plan(3, to(2)))
    own_calls.gateway.upstreams.unwell("online-0").touch()
    admin = Admin(GatewayFiles.of(own_calls.gateway.folder).admin)
    until(lambda: "online.2.grpc" in admin.ailing(), "Envoy notices")
    assert {own_calls.ask(INFER, infer("flight-time"))["name"] for _ in range(20)} == {"online-1"}


def test_calls_are_mirrored(own_calls: Calls, until: Until) -> None:
    gateway = own_calls.gateway
    gateway.roll_out(plan(3, to(2), shadow=Shadow(unit="online", replicas=2, version="9", percent=100)))
    seen = own_calls.ask(INFER, infer("flight-time", 100), ("x-request-id", "UA1"))
    assert "x-archlab-shadow" not in seen["headers"]
    until(gateway.upstreams.mirrored, "the copy arrives")
    (copy,) = gateway.upstreams.mirrored()
    assert (copy["path"], copy["size"]) == (INFER, seen["size"])
    named = {"x-archlab-version": "9", "x-request-id": "UA1", "x-archlab-model": "flight-time"}
    assert named.items() <= copy["headers"].items()
