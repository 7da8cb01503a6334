"""Ways round the gate, tried on one running registry: each is denied, leaves a trace, and changes nothing.

A refusal that a rule spoke is a record of the decision log. What never came to a decision, because nobody could be made
out or the request meant nothing, is a line of the registry's own log.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import os
import pickle
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import onnx
import pytest

from archlab.identity import create_keys, mint
from archlab.settings import LabFolder
from archlab.signing import sign
from gated_registry import GOOD_TAGS, USERS, Registry
from model_folders import GRAPH, changed_bill, fill, graph
from registry_client import Client

API = "/api/2.0/mlflow"
ALIAS = f"{API}/registered-models/alias"
STAGE = f"{API}/model-versions/transition-stage"
TAG = f"{API}/model-versions/set-tag"
CREATE = f"{API}/model-versions/create"
Answer = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """A registered version that was never approved, by a developer of the team that owns it."""

    registry: Registry
    client: Client
    name: str
    version: str
    run: str

    def promotion(self, **changed: Any) -> dict[str, Any]:
        return {"name": self.name, "alias": "champion", "version": self.version, **changed}

    def send(
        self, path: str = ALIAS, body: Any = None, *, method: str = "POST", user: str = "ada", **more: Any
    ) -> Answer:
        return self.registry.call(user, method, path, self.promotion() if body is None else body, **more)

    def bearing(self, token: str) -> Answer:
        return self.send(headers={"Authorization": f"Bearer {token}"})

    def tag(self, key: str, value: str, user: str = "ops", **body: Any) -> Answer:
        named = {"name": self.name, "version": self.version, "key": key, "value": value, **body}
        return self.send(TAG, named, user=user)

    def with_evidence(self, *, auc: float = 0.9, **tags: str) -> Answer:
        """An approved version with this evidence, promoted."""
        full = {**GOOD_TAGS, **{f"archlab.{key}": value for key, value in tags.items()}}
        body = {
            "name": self.name,
            "source": f"mlflow-artifacts:/{self.place}/model",
            "run_id": self.run,
            "tags": [{"key": key, "value": value} for key, value in full.items()],
        }
        status, made = self.send(CREATE, body)
        assert status == 200, made
        version = made["model_version"]["version"]
        grace = {"name": self.name, "version": version, "key": "archlab.approved_by", "value": "grace"}
        assert self.send(TAG, grace, user="grace")[0] == 200
        return self.send(body=self.promotion(version=version))

    @property
    def place(self) -> str:
        uri: str = self.client.mlflow.get_run(self.run).info.artifact_uri
        return uri.partition(":/")[2]


@pytest.fixture
def target(registry: Registry, client: Client) -> Target:
    name = f"target-{uuid.uuid4().hex[:8]}"
    version, run = client.register(name, auc=0.9)
    return Target(registry, client, name, version, run)


def text(target: Target, **changed: Any) -> str:
    return json.dumps(target.promotion(**changed))


def other_lab(target: Target) -> str:
    """A token that another lab of the same name signed."""
    folder = LabFolder(target.registry.folder.root.parent / uuid.uuid4().hex / target.registry.folder.name)
    create_keys(folder)
    return mint(folder, USERS["ops"])


def claims(target: Target, **changed: Any) -> dict[str, Any]:
    token = target.registry.token("ada")
    return {**jwt.decode(token, options={"verify_signature": False}), **changed}


def altered(target: Target) -> str:
    """Ada's token with the operator's role written into it, its signature kept."""
    head, _, signature = target.registry.token("ada").split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims(target, scope="operator approver")).encode()).rstrip(b"=")
    return ".".join((head, body.decode(), signature))


def self_made(target: Target) -> str:
    """Signed with the lab's public key, which everybody may read, as if it were a shared secret."""
    public = (target.registry.folder.keys / "jwks.json").read_text()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT","kid":"lab"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(claims(target, scope="operator")).encode()).rstrip(b"=").decode()
    signature = hmac.new(public.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def after_approval(target: Target, change: Callable[[], object]) -> Answer:
    """Approve, change what was approved, promote."""
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    target.client.become("ada")
    change()
    return target.send()


def log_metric(target: Target) -> None:
    target.client.mlflow.log_metric(target.run, "auc", 0.99)


def few_rows(target: Target) -> Answer:
    target.client.become("ada")
    target.client.mlflow.log_metric(target.run, "holdout_rows", 3)
    return target.with_evidence()


def overwrite(target: Target) -> None:
    file = Path(target.client.files) / "model.onnx"
    file.write_bytes(b"another file")
    target.client.mlflow.log_artifact(target.run, str(file), "model")


def offers(
    target: Target, content: bytes = GRAPH, spoil: Callable[[Path], object] | None = None, **more: Any
) -> Answer:
    """A folder as the pipeline makes it, spoilt after it was signed, registered by its team's developer."""
    key = more.pop("key", target.registry.folder.keys / "signing.pem")
    folder = fill(Path(target.client.files) / uuid.uuid4().hex, content, key=key, **more)
    if spoil:
        spoil(folder)
    target.client.become("ada")
    target.client.mlflow.log_artifacts(target.run, str(folder), folder.name)
    return registers(target, f"mlflow-artifacts:/{target.place}/{folder.name}")


def signed_by_a_stranger(folder: Path) -> None:
    other = LabFolder(folder.parent / uuid.uuid4().hex)
    create_keys(other)
    sign(folder, other.keys / "signing.pem")


def signed_with_the_name_of_the_lab(folder: Path) -> None:
    """A stranger's signature that says it is the lab's."""
    name = json.loads((folder / "model.sig").read_bytes())["verificationMaterial"]
    signed_by_a_stranger(folder)
    bundle = json.loads((folder / "model.sig").read_bytes())
    (folder / "model.sig").write_text(json.dumps({**bundle, "verificationMaterial": name}))


def signature_of_another(target: Target) -> Answer:
    other = fill(
        Path(target.client.files) / uuid.uuid4().hex, graph(3.0), key=target.registry.folder.keys / "signing.pem"
    )
    return offers(target, spoil=lambda f: (f / "model.sig").write_bytes((other / "model.sig").read_bytes()))


def promotes(target: Target, **more: Any) -> Answer:
    """A version registered with all that it needs but what `more` takes away, approved, promoted."""
    version, _ = target.client.register(target.name, auc=0.9, **more)
    grace = {"name": target.name, "version": version, "key": "archlab.approved_by", "value": "grace"}
    assert target.send(TAG, grace, user="grace")[0] == 200
    return target.send(body=target.promotion(version=version))


def overwrites(target: Target, name: str, content: bytes) -> Answer:
    """A file of the registered version changes behind everybody's back, on the registry's own disk."""
    place = target.registry.folder.registry / "artifacts" / target.place / "model" / name
    assert place.exists()
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    place.write_bytes(content)
    return target.send()


def outside_tensor(location: str) -> bytes:
    model = onnx.load_from_string(GRAPH)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


def tensor_bomb() -> bytes:
    model = onnx.load_from_string(GRAPH)
    model.graph.initializer[0].dims[0] = 1 << 38
    return bytes(model.SerializeToString())


def custom_operator() -> bytes:
    model = onnx.load_from_string(GRAPH)
    model.graph.node[0].domain = "com.example"
    return bytes(model.SerializeToString())


class Payload:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return os.abort, ()


def registers(target: Target, source: str) -> Answer:
    return target.send(CREATE, {"name": target.name, "source": source, "run_id": target.run})


def logs_pickle(target: Target) -> Answer:
    file = Path(target.client.files) / "weights.txt"
    file.write_bytes(pickle.dumps({"w": 1}, protocol=0))
    target.client.become("ada")
    target.client.mlflow.log_artifact(target.run, str(file), "model")
    return registers(target, f"mlflow-artifacts:/{target.place}/model")


def champion(target: Target) -> None:
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    assert target.send()[0] == 200


def against_champion(target: Target, method: str, path: str, **body: Any) -> Answer:
    champion(target)
    return target.send(path, {"name": target.name, **body}, method=method)


NO_HOLDOUT = "archlab.exception.promotion/enough_holdout"


def excuse(target: Target, user: str = "ops", rule: str = "promotion/enough_holdout", **changed: Any) -> Answer:
    """Asks for an exception for the target's version."""
    said = {"until": "2013-11-20", "owner": "ada", "reason": "nothing but haste", **changed}
    return target.tag(f"archlab.exception.{rule}", json.dumps(said), user=user)


def by_hand(target: Target, key: str, value: str) -> None:
    """Writes a version's tag into MLflow's database, past everything, as a copy of one that is there."""
    with contextlib.closing(sqlite3.connect(target.registry.folder.registry / "mlflow.db", timeout=30)) as db, db:
        names = [row[1] for row in db.execute("PRAGMA table_info(model_version_tags)")]
        taken = ", ".join({"key": "?", "value": "?"}.get(name, name) for name in names)
        made = db.execute(
            f"INSERT INTO model_version_tags ({', '.join(names)}) SELECT {taken} FROM model_version_tags"
            " WHERE name = ? AND version = ? AND key = 'archlab.author'",
            (
                *((key, value) if names.index("key") < names.index("value") else (value, key)),
                target.name,
                target.version,
            ),
        )
        assert made.rowcount == 1


def excused_by_hand(target: Target) -> Answer:
    """A version that needs an exception, and one that only the database knows."""
    by_hand(target, NO_HOLDOUT, json.dumps({"until": "2013-11-20", "owner": "ada", "reason": "nothing but haste"}))
    target.client.become("ada")
    target.client.mlflow.log_metric(target.run, "holdout_rows", 3)
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    return target.send()


def ended(target: Target, key: str, value: str, user: str = "ops") -> Answer:
    """A champion on which somebody sets a tag that ends it."""
    champion(target)
    return target.tag(key, value, user=user)


def archived(target: Target) -> Answer:
    champion(target)
    return target.send(STAGE, {"name": target.name, "version": target.version, "stage": "Archived"}, user="ops")


def model_retired(target: Target) -> Answer:
    champion(target)
    body = {"name": target.name, "key": "archlab.retired", "value": "haste"}
    return target.send(f"{API}/registered-models/set-tag", body, user="ops")


def back(
    target: Target, path: str = ALIAS, method: str = "POST", retired: str = "archlab.retired", **body: Any
) -> Answer:
    """An approved version that was retired before it was anything, and a way back."""
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    assert target.tag(retired, "not good enough", user="ada")[0] == 200
    return target.send(path, target.promotion(**body), method=method)


MAKE = f"{API}/registered-models/create"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
RULED: dict[str, Callable[[Target], Answer]] = {
    # other ways to write the same call
    "plain": lambda t: t.send(),
    "ajax API": lambda t: t.send("/ajax-api/2.0/mlflow/registered-models/alias"),
    "API 3.0": lambda t: t.send("/api/3.0/mlflow/registered-models/alias"),
    "API 9.9": lambda t: t.send("/api/9.9/mlflow/registered-models/alias"),
    "doubled slashes": lambda t: t.send("//api//2.0/mlflow///registered-models/alias"),
    "trailing slash": lambda t: t.send(f"{ALIAS}/"),
    "percent-encoded": lambda t: t.send("/api/2.0/mlflow/registered%2dmodels/%61lias"),
    "capitals in the path": lambda t: t.send("/API/2.0/mlflow/registered-models/alias"),
    "path parameters": lambda t: t.send(f"{ALIAS};v=1"),
    "PUT": lambda t: t.send(method="PUT"),
    "PATCH": lambda t: t.send(method="PATCH"),
    "DELETE of what is not there": lambda t: t.send(f"{ALIAS}/champion", method="DELETE"),
    "query beside the body": lambda t: t.send(f"{ALIAS}?alias=candidate&name=x"),
    "method override to a tag": lambda t: t.send(headers={"X-HTTP-Method-Override": "GET"}),
    "stage Production": lambda t: t.send(STAGE, {"name": t.name, "version": t.version, "stage": "Production"}),
    "stage in capitals": lambda t: t.send(STAGE, {"name": t.name, "version": t.version, "stage": " PRODUCTION"}),
    # other ways to write the same body
    "a key twice": lambda t: t.send(body=text(t).replace('"alias"', '"alias": "x", "alias"').encode()),
    "JSON in a JSON string": lambda t: t.send(body=json.dumps(text(t)).encode()),
    "UTF-16": lambda t: t.send(body=text(t).encode("utf-16")),
    "escapes": lambda t: t.send(body=text(t).replace("champion", "\\u0063hampion").encode()),
    "another content type": lambda t: t.send(headers={"Content-Type": "text/plain"}),
    "version with a zero": lambda t: t.send(body=t.promotion(version=f"0{t.version}")),
    # aliases and names that look alike
    "capital alias": lambda t: t.send(body=t.promotion(alias="Champion")),
    "digit in the alias": lambda t: t.send(body=t.promotion(alias="champi0n")),
    "Cyrillic alias": lambda t: t.send(body=t.promotion(alias="\u0441hampion")),
    "alias with a blank": lambda t: t.send(body=t.promotion(alias="champion ")),
    "alias with a zero-width space": lambda t: t.send(body=t.promotion(alias="champ\u200bion")),
    "model with another separator": lambda t: t.send(MAKE, {"name": t.name.replace("-", "_")}),
    "model in capitals": lambda t: t.send(MAKE, {"name": t.name.upper()}),
    "model of another alphabet": lambda t: t.send(MAKE, {"name": t.name.replace("a", "\u0430")}),
    "renamed to a look-alike": lambda t: t.send(
        f"{API}/registered-models/rename", {"name": t.name, "new_name": "..\u2024"}
    ),
    # who asks
    "headers of the gateway": lambda t: t.send(
        user="viewer", headers={"x-archlab-user": "ops", "x-archlab-scope": "operator", "x-archlab-team": "platform"}
    ),
    "another team's developer": lambda t: t.send(user="bob"),
    "an approver": lambda t: t.send(user="grace"),
    # approvals
    "author approves": lambda t: t.tag("archlab.approved_by", "ada", user="ada"),
    "operator approves": lambda t: t.tag("archlab.approved_by", "ops"),
    "in another's name": lambda t: t.tag("archlab.approved_by", "bob", user="grace"),
    "approval at creation": lambda t: t.send(
        CREATE,
        {"name": t.name, "source": "models:/m-0", "tags": [{"key": "archlab.approved_by", "value": "grace"}]},
    ),
    "author's tag": lambda t: t.tag("archlab.author", "bob"),
    "digest's tag": lambda t: t.tag("archlab.sha256", "a" * 64),
    "time of the approval": lambda t: t.tag("archlab.approved_at", "2013-11-06T08:00:00+00:00"),
    "what was approved": lambda t: t.tag("archlab.approved_evidence", "a" * 64),
    "was champion before": lambda t: t.tag("archlab.promoted_at", "2013-11-06T08:00:00+00:00"),
    "owner's tag": lambda t: t.send(
        f"{API}/registered-models/set-tag", {"name": t.name, "key": "archlab.owner_team", "value": "revenue"}
    ),
    "metrics after the approval": lambda t: after_approval(t, lambda: log_metric(t)),
    "file after the approval": lambda t: after_approval(t, lambda: overwrite(t)),
    # evidence
    "baseline that is no number": lambda t: t.with_evidence(baseline="nan"),
    "baseline of minus infinity": lambda t: t.with_evidence(baseline="-inf"),
    "metric that nobody ranks": lambda t: t.with_evidence(metric="holdout_rows"),
    "metric that was not logged": lambda t: t.with_evidence(metric="f1"),
    "parity below zero": lambda t: t.with_evidence(parity_max_abs_diff="-1"),
    "evaluated in the future": lambda t: t.with_evidence(evaluated_at="2099-01-01T00:00:00+00:00"),
    "evaluated without a zone": lambda t: t.with_evidence(evaluated_at="2013-11-04T08:00:00"),
    "columns that are null": lambda t: t.with_evidence(columns="null"),
    "columns of nowhere": lambda t: t.with_evidence(columns='[{"name": "a", "source": "nowhere"}]'),
    "measured on few rows": few_rows,
    # exceptions
    "exception by the author": lambda t: excuse(t, "ada"),
    "exception by an operator": lambda t: excuse(t, "ops"),
    "exception from four eyes": lambda t: excuse(t, "grace", "promotion/approved_by_another"),
    "exception from the digest": lambda t: excuse(t, "grace", "promotion/onnx_matches"),
    "exception from granting": lambda t: excuse(t, "grace", "exception/granted_by_another"),
    "exception from no rule": lambda t: excuse(t, "grace", "promotion"),
    "exception from a rule in capitals": lambda t: excuse(t, "grace", "promotion/Enough_Holdout"),
    "exception without an end": lambda t: excuse(t, "grace", until=None),
    "exception for ever": lambda t: excuse(t, "grace", until="9999-12-30"),
    "exception that has passed": lambda t: excuse(t, "grace", until="2013-11-01"),
    "exception without a zone": lambda t: excuse(t, "grace", until="2013-11-20T00:00:00"),
    "exception for blanks": lambda t: excuse(t, "grace", reason=" " * 20),
    "exception owned by nobody": lambda t: excuse(t, "grace", owner=" "),
    "exception at creation": lambda t: t.send(
        CREATE, {"name": t.name, "source": "models:/m-0", "tags": [{"key": NO_HOLDOUT, "value": "{}"}]}, user="ops"
    ),
    "exception written into the database": excused_by_hand,
    # states
    "champion retired before anybody was told": lambda t: ended(t, "archlab.retired", "haste"),
    "champion archived": lambda t: archived(t),
    "champion deprecated until yesterday": lambda t: ended(t, "archlab.sunset", "2013-11-05"),
    "champion deprecated by another team": lambda t: ended(t, "archlab.sunset", "2013-12-05", user="bob"),
    "champion retired by its developer": lambda t: ended(t, "archlab.retired", "haste", user="ada"),
    "champion's model retired": lambda t: model_retired(t),
    "retired, then promoted": lambda t: back(t),
    "retired, then a stage": lambda t: back(t, STAGE, stage="Production"),
    "retired, then challenger": lambda t: back(t, alias="challenger"),
    "retired, then reinstated": lambda t: back(t, f"{API}/model-versions/delete-tag", "DELETE", key="archlab.retired"),
    "retired, the other tag deleted": lambda t: back(
        t, f"{API}/model-versions/delete-tag", "DELETE", key="archlab.sunset"
    ),
    "retired, the version with a zero": lambda t: back(t, version=f"0{t.version}"),
    "retired in capitals": lambda t: back(t, retired="ARCHLAB.Retired"),
    "sunset at creation": lambda t: t.send(
        CREATE, {"name": t.name, "source": "models:/m-0", "tags": [{"key": "archlab.sunset", "value": "2013-12-05"}]}
    ),
    # files
    "file in a bucket": lambda t: registers(t, "s3://bucket/model"),
    "file of the host": lambda t: registers(t, "file:///etc"),
    "out of the store": lambda t: registers(t, "mlflow-artifacts:/../../keys"),
    "the whole store": lambda t: registers(t, "mlflow-artifacts:/"),
    "another host's store": lambda t: registers(t, "mlflow-artifacts://elsewhere:5000/1/2"),
    "a pickle by another name": logs_pickle,
    "a pickle with a payload": lambda t: offers(t, pickle.dumps(Payload())),
    "a payload beside the model": lambda t: offers(t, files={"preprocess.bin": pickle.dumps(Payload(), protocol=4)}),
    # signatures
    "unsigned": lambda t: offers(t, key=None),
    "signed by a stranger": lambda t: offers(t, spoil=signed_by_a_stranger),
    "a stranger under the lab's name": lambda t: offers(t, spoil=signed_with_the_name_of_the_lab),
    "another model's signature": signature_of_another,
    "tampered after signing": lambda t: offers(t, spoil=lambda f: (f / "model.onnx").write_bytes(graph(9.0))),
    "a file added after signing": lambda t: offers(t, spoil=lambda f: (f / "notes.txt").write_text("harmless")),
    "no signature but its name": lambda t: offers(t, spoil=lambda f: (f / "model.sig").write_text("signed: yes")),
    "tampered on the disk": lambda t: overwrites(t, "model.onnx", graph(9.0)),
    "signature gone from the disk": lambda t: overwrites(t, "model.sig", b""),
    # bills of materials
    "no bill of materials": lambda t: promotes(t, bill=b""),
    "a bill of another model": lambda t: promotes(t, bill=changed_bill()),
    "a bill without a model card": lambda t: promotes(t, bill=changed_bill(modelCard={})),
    "other data than the bill says": lambda t: promotes(t, tags={"archlab.data_digest": "e" * 64}),
    "bill changed on the disk": lambda t: overwrites(t, "bom.cdx.json", b"{}"),
    "bill's digest tag": lambda t: t.tag("archlab.bom_sha256", "a" * 64),
    # graphs
    "no graph": lambda t: offers(t, b"an onnx file"),
    "tensor in another file": lambda t: offers(t, outside_tensor("weights.txt"), files={"weights.txt": b"0" * 100}),
    "tensor of the host": lambda t: offers(t, outside_tensor("../../../../keys/jwt.pem")),
    "tensor of a terabyte": lambda t: offers(t, tensor_bomb()),
    "custom operator": lambda t: offers(t, custom_operator()),
    # taking away
    "champion's alias": lambda t: against_champion(t, "DELETE", ALIAS, alias="champion"),
    "champion's alias in capitals": lambda t: against_champion(t, "DELETE", ALIAS, alias="CHAMPION"),
    "champion's version": lambda t: against_champion(t, "DELETE", f"{API}/model-versions/delete", version=t.version),
    "champion's version with a zero": lambda t: against_champion(
        t, "DELETE", f"{API}/model-versions/delete", version=f"0{t.version}"
    ),
    "champion's model": lambda t: against_champion(t, "DELETE", f"{API}/registered-models/delete"),
    "champion's run": lambda t: against_champion(t, "POST", f"{API}/runs/delete", run_id=t.run),
    "champion's files": lambda t: against_champion(t, "DELETE", f"{FILES}/{t.place}/model"),
    # calls that this registry does not offer
    "webhook": lambda t: t.send(f"{API}/webhooks", {"name": "x", "url": "http://127.0.0.1:1"}, user="ops"),
    "gateway's secrets": lambda t: t.send("/api/3.0/mlflow/gateway/secrets/create", {}, user="ops"),
    "workspace": lambda t: t.send("/api/3.0/mlflow/workspaces", {"name": "mine"}, user="ops"),
}
UNRULED: dict[str, Callable[[Target], Answer]] = {
    "dots in the path": lambda t: t.send("/api/2.0/mlflow/x/../registered-models/alias"),
    "encoded dots": lambda t: t.send("/api/2.0/mlflow/x/%2e%2e/registered-models/alias"),
    "backslashes": lambda t: t.send("/api/2.0/mlflow\\registered-models\\alias"),
    "encoded line break": lambda t: t.send(f"{ALIAS}%0a"),
    "body in the query": lambda t: t.send(f"{ALIAS}?name={t.name}&alias=champion&version={t.version}", b""),
    "form": lambda t: t.send(body=f"name={t.name}&alias=champion&version={t.version}".encode()),
    "list": lambda t: t.send(body=json.dumps([t.promotion()]).encode()),
    "alias as a list": lambda t: t.send(body=t.promotion(alias=["champion"])),
    "alias as an object": lambda t: t.send(body=t.promotion(alias={"": "champion"})),
    "version as None": lambda t: t.send(body=t.promotion(version=None)),
    "version as a number": lambda t: t.send(body=t.promotion(version=1)),
    "name as a number": lambda t: t.send(body=t.promotion(name=7)),
    "compressed": lambda t: t.send(body=gzip.compress(text(t).encode()), headers={"Content-Encoding": "gzip"}),
    "too large": lambda t: t.send(body=text(t, note="x" * (1 << 20)).encode()),
    "a version that is not there": lambda t: t.send(body=t.promotion(version="999")),
    "no token": lambda t: t.send(headers={"Authorization": ""}),
    "Basic": lambda t: t.send(headers={"Authorization": "Basic b3BzOm9wcw=="}),
    "token in the query": lambda t: t.send(
        f"{ALIAS}?access_token={t.registry.token('ops')}", headers={"Authorization": ""}
    ),
    "expired": lambda t: t.bearing(t.registry.token("ops", lifetime_s=-10)),
    "expired in the cookie": lambda t: t.send(
        headers={"Authorization": "", "Cookie": f"archlab_token={t.registry.token('ops', lifetime_s=-10)}"}
    ),
    "unsigned": lambda t: t.bearing(jwt.encode(claims(t, scope="operator"), "", algorithm="none")),
    "altered": lambda t: t.bearing(altered(t)),
    "signed with the public key": lambda t: t.bearing(self_made(t)),
    "of another lab": lambda t: t.bearing(other_lab(t)),
}


@pytest.mark.parametrize("way", RULED)
def test_a_rule_denies_it_and_the_decision_is_on_record(target: Target, way: str) -> None:
    status, answer = RULED[way](target)
    assert (status, answer["error_code"]) == (403, "PERMISSION_DENIED"), answer
    last = target.registry.control.records[-1]
    assert not last.decision.allow
    assert last.decision.reasons
    assert last.decision.engine.startswith("embedded regopy")
    unchanged(target)


@pytest.mark.parametrize("way", UNRULED)
def test_what_means_nothing_is_refused_and_logged(target: Target, way: str) -> None:
    before = len(target.registry.log.read_text().splitlines())
    status, answer = UNRULED[way](target)
    assert status in (400, 401, 404, 413), answer
    deadline = time.monotonic() + 10
    while not (lines := refusals(target.registry.log, before)) and time.monotonic() < deadline:
        pass
    assert lines, answer
    assert not [line for line in lines if target.registry.token("ops")[:40] in line]
    unchanged(target)


def refusals(log: Path, after: int) -> list[str]:
    return [line for line in log.read_text().splitlines()[after:] if "refused " in line]


def unchanged(target: Target) -> None:
    """Nobody became champion who was not approved; a champion stayed."""
    allowed = {
        record.query.resource.version
        for record in target.registry.control.records
        if record.query.action == "promotion/champion"
        and record.query.resource.name == target.name
        and record.decision.allow
    }
    target.client.become("viewer")
    held = target.client.mlflow.get_registered_model(target.name).aliases
    assert {str(version) for alias, version in held.items() if alias.lower() == "champion"} == allowed
    assert not set(held) - {"champion"}


def test_there_are_forty_ways_at_least() -> None:
    assert len(RULED) + len(UNRULED) >= 40
