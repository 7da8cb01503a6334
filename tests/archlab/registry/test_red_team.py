"""Ways round the gate, tried on one running registry: each is denied, leaves a trace, and changes nothing.

A refusal that a rule spoke is a record of the decision log. What never came to a decision, because nobody could be made
out or the request meant nothing, is a line of the registry's own log. Here: other ways to write a call, and who asks.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from archlab.identity import create_keys, mint
from archlab.settings import LabFolder
from gated_registry import USERS
from red_team import ALIAS, API, STAGE, Answer, Target, denied, text, unchanged


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


MAKE = f"{API}/registered-models/create"
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
    denied(target, RULED[way](target))


@pytest.mark.parametrize("way", UNRULED)
def test_what_means_nothing_is_refused_and_logged(target: Target, way: str) -> None:
    before = len(target.registry.log.read_text().splitlines())
    status, answer = UNRULED[way](target)
    assert status in (400, 401, 404, 413), answer
    deadline = time.monotonic() + 120
    while not (lines := refusals(target.registry.log, before)) and time.monotonic() < deadline:
        pass
    assert lines, answer
    assert not [line for line in lines if target.registry.token("ops")[:40] in line]
    unchanged(target)


def refusals(log: Path, after: int) -> list[str]:
    return [line for line in log.read_text().splitlines()[after:] if "refused " in line]


def test_there_are_forty_ways_at_least() -> None:
    assert len(RULED) + len(UNRULED) >= 40
