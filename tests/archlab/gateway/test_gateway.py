"""Promises of the gateway, proven on a real Envoy with real servers behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import jwt
import psutil
import pytest

from archlab import identity
from archlab.gateway.configuration import GatewayFiles
from archlab.settings import LabFolder
from archlab.spec.scenario import User

if TYPE_CHECKING:
    from tests.archlab.gateway.conftest import Gateway

INFER = "/v2/models/flight-time/infer"


def headers_of(answer: httpx.Response) -> dict[str, str]:
    return dict(answer.json()["headers"])


def token(gateway: Gateway, **claims: object) -> str:
    now = int(time.time())
    base = {"iss": "archlab/lab", "aud": "archlab", "sub": "ada", "team": "operations", "scope": "", "exp": now + 60}
    key = (gateway.folder.keys / "jwt.pem").read_text()
    return jwt.encode({**base, **claims}, key, algorithm="ES256", headers={"kid": "lab"})


class TestIdentity:
    @pytest.mark.parametrize(
        "path", [INFER, "/v2", "/v2/health/ready", "/mlflow/", "/control/clock", "/", "/nothing", "/v2/models/none"]
    )
    def test_nothing_without_a_token(self, gateway: Gateway, path: str) -> None:
        answer = httpx.get(gateway.url + path)
        assert answer.status_code == 401
        assert answer.json()["error"] == "Jwt is missing."
        assert "archlab token" in answer.json()["remedy"]

    @pytest.mark.parametrize("path", ["/healthz", "/login/abc"])
    def test_open_paths_need_none(self, gateway: Gateway, path: str) -> None:
        answer = httpx.get(gateway.url + path)
        assert answer.status_code == 200
        assert (answer.json()["name"], answer.json()["path"]) == ("control", path)

    def test_an_expired_token_is_refused(self, gateway: Gateway) -> None:
        old = token(gateway, exp=int(time.time()) - 3600)
        answer = gateway.get(INFER, {"authorization": f"Bearer {old}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "Jwt is expired.")

    @pytest.mark.parametrize("claims", [{"iss": "archlab/other"}, {"aud": "elsewhere"}, {"exp": None}])
    def test_a_token_for_something_else_is_refused(self, gateway: Gateway, claims: dict[str, object]) -> None:
        made = token(gateway, **claims) if claims.get("exp", 1) else _without_expiry(gateway)
        assert gateway.get(INFER, {"authorization": f"Bearer {made}"}).status_code in {401, 403}

    def test_a_token_of_another_key_is_refused(self, gateway: Gateway, tmp_path: Path) -> None:
        other = LabFolder(tmp_path / "lab")
        identity.create_keys(other)
        forged = identity.mint(other, User(name="ada", team="operations", roles=("operator",)))
        assert gateway.get(INFER, {"authorization": f"Bearer {forged}"}).status_code == 401

    def test_an_unsigned_token_is_refused(self, gateway: Gateway) -> None:
        claims = jwt.decode(gateway.token, options={"verify_signature": False})
        forged = jwt.encode(claims, "", algorithm="none")
        assert gateway.get(INFER, {"authorization": f"Bearer {forged}"}).status_code == 401

    def test_the_token_may_come_as_a_cookie(self, gateway: Gateway) -> None:
        answer = httpx.get(gateway.url + INFER, headers={"cookie": f"theme=dark; archlab_token={gateway.token}"})
        assert answer.status_code == 200
        assert headers_of(answer)["x-archlab-user"] == "ada"

    def test_upstreams_learn_who_asks_and_get_the_token_itself(self, gateway: Gateway) -> None:
        seen = headers_of(gateway.get("/control/clock"))
        assert seen["x-archlab-user"] == "ada"
        assert seen["x-archlab-team"] == "operations"
        assert seen["x-archlab-scope"] == "viewer developer"
        assert seen["authorization"] == f"Bearer {gateway.token}"

    @pytest.mark.parametrize("path", [INFER, "/control/clock", "/mlflow/api", "/login/x", "/healthz"])
    @pytest.mark.parametrize("name", ["x-archlab-user", "X-Archlab-Team", "x-archlab-scope", "x_archlab_user"])
    def test_identity_headers_from_outside_are_removed(self, gateway: Gateway, path: str, name: str) -> None:
        status, body = gateway.raw(
            path, ("Authorization", f"Bearer {gateway.token}"), (name, "mallory"), (name, "mallory2")
        )
        assert status == 200
        assert "mallory" not in json.dumps(body["headers"])

    def test_other_archlab_headers_pass(self, gateway: Gateway) -> None:
        sent = {
            "x-archlab-min-snapshot": "4",
            "x-archlab-min-feed": "5",
            "x-archlab-business-time": "2013-11-04T08:00:00Z",
            "x-archlab-version": "3",
            "x-request-id": "replay-17",
        }
        assert sent.items() <= headers_of(gateway.get(INFER, sent)).items()

    def test_callers_do_not_steer_envoy(self, gateway: Gateway) -> None:
        sent = {"x-envoy-max-retries": "9", "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-original-path": "/x"}
        seen = headers_of(gateway.get(INFER, sent))
        assert not sent.keys() & seen.keys()


def _without_expiry(gateway: Gateway) -> str:
    key = (gateway.folder.keys / "jwt.pem").read_text()
    claims = {"iss": "archlab/lab", "aud": "archlab", "sub": "ada", "team": "operations", "scope": ""}
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": "lab"})


class TestPaths:
    @pytest.mark.parametrize(
        "path",
        [
            "/login/../control/clock",
            "/login/%2e%2e/control/clock",
            "/login/.%2E/control/clock",
            "/login//..//control/clock",
            "/login/..%2fcontrol/clock",
            "/login/..%5ccontrol/clock",
            "/login/..\\control/clock",
            "/login\\..\\control/clock",
            "/healthz/../mlflow/api",
            "/healthz/%2e%2e/mlflow/api",
            "/healthz%2f..%2fmlflow",
            "/healthz/",
            "/healthz;/../control",
            "/healthz?/../../control",
            "//control/clock",
            "/./control/clock",
            "/%63ontrol/clock",
            "/CONTROL/clock",
            "/login",
            "http://lab/control/clock",
            "/login/../../../v2/models/flight-time/infer",
        ],
    )
    def test_no_way_round_the_token(self, gateway: Gateway, path: str) -> None:
        status, body = gateway.raw(path)
        seen = str(body.get("path", "")).partition("?")[0]
        open_path = seen == "/healthz" or (seen.startswith("/login/") and ".." not in seen)
        assert status in {400, 401} or open_path, (status, body)

    def test_a_model_is_its_whole_segment(self, gateway: Gateway) -> None:
        for path in ("/v2/models/flight-timex/infer", "/v2/models/flight", "/v2/models/flight-time-2"):
            answer = gateway.get(path)
            assert answer.status_code == 404
            assert answer.json() == {"error": "No model of that name is deployed."}

    def test_requests_reach_their_part(self, gateway: Gateway) -> None:
        for path, name, seen in (
            ("/mlflow/api/2.0/x?y=%2F", "registry", "/mlflow/api/2.0/x"),
            ("/mlflow", "registry", "/mlflow"),
            ("/control/clock", "control", "/clock"),
            ("/control", "control", "/"),
            ("/v2/models/small/versions/3/infer", "online-0", "/v2/models/small/versions/3/infer"),
        ):
            body = gateway.get(path).json()
            assert (body["name"], body["path"].partition("?")[0]) == (name, seen)
        assert gateway.get("/v2/health/ready").json()["name"].startswith("online-")
        assert gateway.get("/elsewhere").status_code == 404

    def test_large_uploads_pass_to_the_registry(self, gateway: Gateway) -> None:
        size = 100 << 20
        piece = b"x" * (1 << 20)
        body = (piece for _ in range(size // len(piece)))
        answer = httpx.put(f"{gateway.url}/mlflow/artifact", headers=gateway.bearer, content=body, timeout=60)
        assert answer.json()["size"] == size


class TestTraffic:
    def test_a_team_has_its_limit_and_others_theirs(self, gateway: Gateway) -> None:
        slow = {"authorization": f"Bearer {token(gateway, team='slow')}"}
        with httpx.Client(base_url=gateway.url) as client:
            answers = [client.get(INFER, headers=slow) for _ in range(20)]
            refused = [a for a in answers if a.status_code == 429]
            assert {a.status_code for a in answers} == {200, 429}
            assert len(refused) >= 10
            assert "limit" in refused[0].json()["error"]
            assert client.get(INFER, headers=gateway.bearer).status_code == 200

    def test_a_canary_gets_its_share_by_header(self, gateway: Gateway) -> None:
        path = "/v2/models/departure-delay/infer"
        with httpx.Client(base_url=gateway.url, headers=gateway.bearer) as client:
            versions = [headers_of(client.get(path)).get("x-archlab-version") for _ in range(600)]
            assert set(versions) == {None, "7"}
            assert 70 <= versions.count("7") <= 175  # 120 expected; six standard deviations each way
            pinned = {
                headers_of(client.get(path, headers={"x-archlab-version": "2"}))["x-archlab-version"] for _ in range(60)
            }
            assert pinned == {"2"}

    def test_the_first_replicas_carry_a_model(self, gateway: Gateway) -> None:
        assert {gateway.get("/v2/models/small/infer").json()["name"] for _ in range(10)} == {"online-0"}
        assert {gateway.get(INFER).json()["name"] for _ in range(10)} == {"online-0", "online-1"}

    def test_a_503_and_a_hang_are_tried_on_another_replica(self, gateway: Gateway) -> None:
        for header in ("x-test-fail-on", "x-test-hang-on"):
            for _ in range(2):
                answer = gateway.get(INFER, {header: "online-0"})
                assert (answer.status_code, answer.json()["name"]) == (200, "online-1")

    def test_a_model_that_hangs_everywhere_ends_in_504(self, gateway: Gateway) -> None:
        answer = gateway.get(INFER, {"x-test-hang-on": "all"})
        assert answer.status_code == 504
        assert answer.json()["remedy"]

    def test_errors_of_a_model_are_its_own(self, gateway: Gateway) -> None:
        for status in (400, 404, 500):
            answer = gateway.get(INFER, {"x-test-status": str(status)})
            assert (answer.status_code, answer.json()["path"]) == (status, INFER)


def test_only_the_loopback_port_listens(gateway: Gateway) -> None:
    sockets = psutil.Process(gateway.process.pid).net_connections(kind="inet")
    listening = {(s.laddr.ip, s.laddr.port) for s in sockets if s.status == psutil.CONN_LISTEN}
    assert listening == {("127.0.0.1", gateway.port)}


def test_the_access_log_tells_requests_and_keeps_secrets(
    gateway: Gateway, until: Callable[[Callable[[], object], str], None]
) -> None:
    secret = "one-time-code-314"
    httpx.get(f"{gateway.url}/login/{secret}?next=/x")
    gateway.get(INFER, {"cookie": f"archlab_token={gateway.token}"})
    gateway.get(f"{INFER}?token=query-secret", {"x-request-id": "traced"})
    path = GatewayFiles.of(gateway.folder).access_log
    until(lambda: "traced" in path.read_text(), "the request is logged")
    text = path.read_text()
    for hidden in (secret, "query-secret", gateway.token):
        assert hidden not in text
    line = next(json.loads(x) for x in text.splitlines() if "traced" in x)
    assert (line["route"], line["status"], line["user"], line["path"]) == ("flight-time", 200, "ada", INFER)
    assert line["upstream"].endswith(".sock")
    assert line["ms"] >= 0
