"""Ways round the gates of a running lab, tried with what anybody has who may use it: its address, their own token.

More ways round the registry alone are in tests/archlab/registry/test_red_team*.py.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import jwt

from archlab.identity import create_keys, mint
from archlab.lab import Lab
from archlab.lab.asking import ask, example
from archlab.settings import LabFolder
from archlab.spec.policy import DecisionRecord

MODEL, CHAMPION, TARGET = "missed-connection", "1", "2"
API = "/mlflow/api/2.0/mlflow"
ALIAS = f"{API}/registered-models/alias"
TAG = f"{API}/model-versions/set-tag"
STAGE = f"{API}/model-versions/transition-stage"
CREATE = f"{API}/model-versions/create"


@dataclass(frozen=True)
class Reply:
    """What came back, and what was asked."""

    status: int
    text: str
    method: str
    path: str


@dataclass
class Ground:
    """A lab with a version that nobody approved."""

    lab: Lab
    request: dict[str, Any]
    """What callers ask; made while control is up, whose clock it needs."""
    turned_away: list[tuple[str, Reply]] = field(default_factory=list)

    def send(
        self,
        path: str = ALIAS,
        body: Any = None,
        *,
        method: str = "POST",
        user: str | None = None,
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """One request through the gateway, its path exactly as it is written; as the learner unless told otherwise."""
        content = json.dumps(self.promotion() if body is None else body).encode()
        bearer = token if token is not None else self.lab.token(user)
        sent = {"Content-Type": "application/json", **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        host, _, port = self.lab.endpoints.gateway.removeprefix("http://").partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request(method, path, content, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read().decode(errors="replace"), method, path)
        finally:
            connection.close()

    def promotion(self, **changed: Any) -> dict[str, Any]:
        return {"name": MODEL, "alias": "champion", "version": TARGET, **changed}

    def tag(self, key: str, value: str, *, user: str | None = None, version: str = TARGET) -> Reply:
        return self.send(TAG, {"name": MODEL, "version": version, "key": key, "value": value}, user=user)

    def made(self, **tags: str) -> Reply:
        """Version 2's file registered once more with other evidence, as its team may, and promoted to challenger."""
        old = self.lab.registry().get(f"/model-versions/get?name={MODEL}&version={TARGET}")["model_version"]
        kept = {t["key"]: t["value"] for t in old["tags"] if t["key"] in EVIDENCE}
        said = [{"key": k, "value": v} for k, v in {**kept, **{f"archlab.{k}": v for k, v in tags.items()}}.items()]
        logged = {"source": old["source"], "run_id": old["run_id"], "model_id": old["source"].partition(":/")[2]}
        body = {"name": MODEL, **logged, "tags": said}
        made = self.send(CREATE, body)
        assert made.status == 200, made.text
        version = json.loads(made.text)["model_version"]["version"]
        return self.send(body=self.promotion(version=version, alias="challenger"))

    def answering(self) -> set[str]:
        """Versions that callers who name none are answered by."""
        return {ask(self.lab, MODEL, self.request, None)["parameters"]["model_version"] for _ in range(6)}

    def decisions(self) -> list[DecisionRecord]:
        return [DecisionRecord.model_validate(found) for found in self.lab.control.get("/decisions")]

    def claims(self, **changed: Any) -> dict[str, Any]:
        return {**jwt.decode(self.lab.token("caller"), options={"verify_signature": False}), **changed}


EVIDENCE = {
    *("archlab.metric", "archlab.baseline", "archlab.data_digest", "archlab.code_version", "archlab.feature_service"),
    *("archlab.columns", "archlab.parity_max_abs_diff", "archlab.evaluated_at", "archlab.keys"),
}


def altered(ground: Ground) -> str:
    """The caller's token with the roles of an operator written into it, its signature kept."""
    head, _, signature = ground.lab.token("caller").split(".")
    body = base64.urlsafe_b64encode(json.dumps(ground.claims(scope="operator approver")).encode()).rstrip(b"=")
    return ".".join((head, body.decode(), signature))


def of_another_lab(ground: Ground) -> str:
    folder = LabFolder(ground.lab.folder.root.parent / "elsewhere" / ground.lab.name)
    create_keys(folder)
    return mint(folder, ground.lab.user())


def expired(ground: Ground) -> str:
    return mint(ground.lab.folder, ground.lab.user(), lifetime_s=-60)


def races(ground: Ground) -> Reply:
    """Many at once, beside others that set the alias to what it is."""
    token, champion = ground.lab.token(), ground.promotion(version=CHAMPION)
    with ThreadPoolExecutor(8) as pool:
        mine = [pool.submit(ground.send, token=token) for _ in range(6)]
        others = [pool.submit(ground.send, ALIAS, champion, token=token) for _ in range(6)]
        assert {one.result().status for one in others} == {200}
        replies = [one.result() for one in mine]
    assert {reply.status for reply in replies} == {403}
    return ground.send()


def approves_then_changes(ground: Ground) -> Reply:
    assert ground.tag("archlab.approved_by", "approver", user="approver").status == 200
    assert ground.tag("archlab.baseline", "0.1").status == 200
    reply = ground.send()
    gone = {"name": MODEL, "version": TARGET, "key": "archlab.approved_by"}
    assert ground.send(f"{API}/model-versions/delete-tag", gone, method="DELETE", user="approver").status == 200
    return reply


def challenges(ground: Ground, percent: str, **headers: str) -> Reply:
    """Named challenger, as it may be, and given callers."""
    assert ground.send(body=ground.promotion(alias="challenger")).status == 200
    return ground.send(TAG, {"name": MODEL, "version": TARGET, "key": "archlab.canary", "value": percent}, **headers)


def excuse(rule: str, user: str | None, until: str = "2013-12-20") -> Callable[[Ground], Reply]:
    said = json.dumps({"until": until, "owner": "learner", "reason": "it is urgent, really"})
    return lambda ground: ground.tag(f"archlab.exception.{rule}", said, user=user)


def path_of_run(ground: Ground) -> str:
    found = ground.lab.registry().get(f"/model-versions/get?name={MODEL}&version={CHAMPION}")["model_version"]
    return str(found["run_id"])


DECIDED: dict[str, Callable[[Ground], Reply]] = {
    # the same call, written otherwise
    "a plain client promotes": lambda g: g.send(),
    "the browser's API": lambda g: g.send("/mlflow/ajax-api/2.0/mlflow/registered-models/alias"),
    "API 3.0": lambda g: g.send("/mlflow/api/3.0/mlflow/registered-models/alias"),
    "an API of the future": lambda g: g.send("/mlflow/api/9.9/mlflow/registered-models/alias"),
    "a slash too many": lambda g: g.send(f"{ALIAS}/"),
    "doubled slashes": lambda g: g.send("/mlflow//api/2.0//mlflow/registered-models/alias"),
    "a percent-encoded path": lambda g: g.send("/mlflow/api/2.0/mlflow/registered%2dmodels/%61lias"),
    "capitals in the path": lambda g: g.send("/mlflow/API/2.0/mlflow/Registered-Models/alias"),
    "another method": lambda g: g.send(method="PATCH"),
    "a method override": lambda g: g.send(X_HTTP_Method_Override="GET"),
    "the stage Production": lambda g: g.send(STAGE, {"name": MODEL, "version": TARGET, "stage": "Production"}),
    "the version with a zero": lambda g: g.send(body=g.promotion(version=f"0{TARGET}")),
    # look-alike names
    "an alias in capitals": lambda g: g.send(body=g.promotion(alias="Champion")),
    "a Cyrillic alias": lambda g: g.send(body=g.promotion(alias="\u0441hampion")),
    "a model that reads like another": lambda g: g.send(
        f"{API}/registered-models/create", {"name": "missed_connecti0n"}
    ),
    # who one is
    "headers that name somebody else": lambda g: g.send(
        user="caller", X_Forwarded_User="learner", X_Archlab_User="learner", X_Archlab_Roles="operator approver"
    ),
    "somebody who may only ask": lambda g: g.send(user="caller"),
    "a deletion by somebody who may only ask": lambda g: g.send(
        f"{API}/model-versions/delete", {"name": MODEL, "version": TARGET}, method="DELETE", user="caller"
    ),
    "the approver promotes alone": lambda g: g.send(user="approver"),
    "the trainer promotes alone": lambda g: g.send(user="trainer"),
    # approvals and evidence
    "approving without the role": lambda g: g.tag("archlab.approved_by", "learner"),
    "approving in another's name": lambda g: g.tag("archlab.approved_by", "approver"),
    "approved, then changed": approves_then_changes,
    "writing oneself as a former champion": lambda g: g.tag("archlab.promoted_at", "2013-12-01T00:00:00+00:00"),
    "another author": lambda g: g.tag("archlab.author", "approver"),
    "evidence from the future": lambda g: g.made(evaluated_at="2014-06-01T00:00:00+00:00"),
    "evidence of no time": lambda g: g.made(evaluated_at="None"),
    "a parity that is no number": lambda g: g.made(parity_max_abs_diff="NaN"),
    "columns of another type": lambda g: g.made(columns='{"hour": 1}'),
    "data that is None": lambda g: g.made(data_digest=""),
    # exceptions
    "an exception for oneself": excuse("promotion/enough_holdout", None),
    "an exception from four eyes": excuse("promotion/approved_by_another", "approver"),
    "an exception for ever": excuse("promotion/enough_holdout", "approver", "9999-12-30"),
    # traffic
    "all callers as a canary": lambda g: challenges(g, "100"),
    "one more than may be": lambda g: challenges(g, "11"),
    "a share as a float": lambda g: challenges(g, "1e1"),
    "a share of more than all": lambda g: challenges(g, "101"),
    "a share for the caller's role": lambda g: challenges(g, "5", user="caller"),
    "a share for what is no challenger": lambda g: g.tag("archlab.canary", "5", version=CHAMPION),
    "a share in capitals": lambda g: g.send(
        TAG, {"name": MODEL, "version": TARGET, "key": "ARCHLAB.Canary", "value": "100"}
    ),
    "a share at creation": lambda g: g.send(
        CREATE, {"name": MODEL, "source": "models:/m-0", "tags": [{"key": "archlab.canary", "value": "100"}]}
    ),
    # files, and taking away
    "a file of the host": lambda g: g.send(CREATE, {"name": MODEL, "source": "file:///etc", "run_id": ""}),
    "out of the store": lambda g: g.send(CREATE, {"name": MODEL, "source": "mlflow-artifacts:/../../keys"}),
    "the champion's alias, by its caller": lambda g: g.send(
        ALIAS, {"name": MODEL, "alias": "champion"}, method="DELETE", user="caller"
    ),
    "the champion's run": lambda g: g.send(f"{API}/runs/delete", {"run_id": path_of_run(g)}),
    "the champion retired without notice": lambda g: g.tag("archlab.retired", "in the way", version=CHAMPION),
    "a webhook": lambda g: g.send(f"{API}/webhooks", {"name": "x", "url": "http://127.0.0.1:1"}),
    "many at once": races,
}

ALLOWED = {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64}


def forged(ground: Ground, action: str = "promotion/champion", **evidence: Any) -> dict[str, Any]:
    """A decision that nobody took."""
    last = next(r for r in reversed(ground.decisions()) if r.query.resource.version == TARGET)
    query = last.query.model_copy(update={"action": action, "evidence": evidence})
    return {"query": query.model_dump(mode="json"), "decision": ALLOWED}


def reused_code(ground: Ground) -> Reply:
    """A one-time address, a second time."""
    path = ground.lab.client("/control").post("/login-codes")["path"]
    assert ground.send(path, method="GET", token="").status == 303
    return ground.send(path, method="GET", token="")


def cookie(ground: Ground) -> Reply:
    return ground.send(token="", Cookie=f"archlab_token={expired(ground)}")


TURNED_AWAY: dict[str, Callable[[Ground], Reply]] = {
    # who one is
    "no token": lambda g: g.send(token=""),
    "Basic": lambda g: g.send(token="", Authorization="Basic bGVhcm5lcjpsZWFybmVy"),
    "a token in the address": lambda g: g.send(f"{ALIAS}?{urlencode({'access_token': g.lab.token()})}", token=""),
    "a token after its end": lambda g: g.send(token=expired(g)),
    "a cookie after its end": cookie,
    "a one-time address twice": reused_code,
    "an unsigned token": lambda g: g.send(token=jwt.encode(g.claims(scope="operator"), "", algorithm="none")),
    "a token with more roles": lambda g: g.send(token=altered(g)),
    "another lab's token": lambda g: g.send(token=of_another_lab(g)),
    # paths
    "dots over the registry's edge": lambda g: g.send("/mlflow/../control/decisions", forged(g)),
    "encoded dots": lambda g: g.send("/mlflow/%2e%2e/control/decisions", forged(g), user="caller"),
    "an encoded slash": lambda g: g.send("/mlflow%2fapi/2.0/mlflow/registered-models/alias"),
    "a path of the server": lambda g: g.send("/v2/models/missed-connection/../../repository/index", {}, user="caller"),
    # bodies that mean nothing
    "a version that is None": lambda g: g.send(body=g.promotion(version=None)),
    "a list": lambda g: g.send(body=[g.promotion()]),
    # control
    "a decision of one's own": lambda g: g.send("/control/decisions", forged(g)),
    "a canary's decision of one's own": lambda g: g.send(
        "/control/decisions", forged(g, "deployment/canary", percent=100)
    ),
    "a table of one's own": lambda g: g.send("/control/batch-runs", {}),
    "features of one's own": lambda g: g.send("/control/snapshots", {}),
    "a day that nobody lived": lambda g: g.send("/control/ticks", {}),
    "releases by a caller": lambda g: g.send("/control/releases/reconcile", {}, user="caller"),
    "files of releases": lambda g: g.send(f"/control/sync/blobs/{'0' * 64}", method="GET", user="caller"),
    "a plan of one's own": lambda g: g.send("/control/desired", {"files": {"plan.json": "{}"}}),
    # servers
    "a model brought along": lambda g: g.send(
        f"/v2/repository/models/{MODEL}/load",
        {"parameters": {"config": "{}", "file:1/model.onnx": base64.b64encode(b"onnx").decode()}},
    ),
    "unloading by a caller": lambda g: g.send(f"/v2/repository/models/{MODEL}/unload", {}, user="caller"),
    "a version that is not released": lambda g: g.send(
        f"/v2/models/{MODEL}/versions/7/infer", example(g.lab, MODEL, [])
    ),
    "the servers' own metrics": lambda g: g.send("/metrics", method="GET"),
}
