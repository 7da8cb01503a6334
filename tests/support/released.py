"""A model in a real registry on its way into the feed: decisions, plans and runs, and what servers read."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.release import Release, ReleaseFeed
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario
from control_process import START, Control
from mlflow_server import MlflowServer, tags

MODEL = "flight-time"
TAGS = tags([("distance", "request"), ("route_air_time_28d", "route_daily")], ["route"])
ONNX = b"not really a graph, but nobody here opens it"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def allow(
    control: Control,
    version: str,
    content: bytes,
    *,
    alias: str = "champion",
    allow: bool = True,
    action: str = "",
    **evidence: Any,
) -> str:
    """Record a decision about a version; returns its id."""
    query = {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": action or f"promotion/{alias}",
        "resource": {"kind": "model-version", "name": MODEL, "version": version, "digest": sha256(content)},
        "evidence": evidence,
        "time": START.isoformat(),
    }
    reasons = [] if allow else [{"rule": "r", "code": "c", "message": "no"}]
    decision = {"allow": allow, "reasons": reasons, "engine": "embedded", "bundle_digest": "b" * 64}
    return str(control.post("/decisions", {"query": query, "decision": decision})["id"])


def feed(control: Control) -> ReleaseFeed:
    """As servers read it, and as control answers it."""
    written = ReleaseFeed.model_validate_json((control.folder.releases / "feed.json").read_bytes())
    assert written == ReleaseFeed.model_validate(control.get("/releases"))
    return written


def check_signature(control: Control, release: Release) -> None:
    key = load_pem_public_key((control.folder.keys / "release.pub.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    statement = json.dumps(release.statement(), sort_keys=True, separators=(",", ":")).encode()
    key.verify(base64.b64decode(release.signature), statement)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(release.signature), statement + b" ")


def decide(control: Control, action: str, version: str = "", **evidence: Any) -> str:
    query = {
        "subject": {"user": "learner", "team": "platform", "roles": ["operator"]},
        "action": action,
        "resource": {"kind": "model-version", "name": MODEL, "version": version},
        "evidence": {"model_created": "1", **evidence},
        "time": START.isoformat(),
    }
    decision = {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64}
    return str(control.post("/decisions", {"query": query, "decision": decision})["id"])


def canary(control: Control, registry: MlflowServer, scenario: Scenario, percent: int) -> tuple[str, str]:
    """A champion, a challenger, and a plan that sends a share of the callers to it; nobody allowed the share."""
    first, second = registry.register(MODEL, ONNX, TAGS), registry.register(MODEL, ONNX + b"2", TAGS)
    registry.alias(MODEL, "champion", first)
    registry.alias(MODEL, "challenger", second)
    allow(control, first, ONNX)
    allow(control, second, ONNX + b"2", alias="challenger")
    overrides = Overrides(models={MODEL: ModelOverride(canary_percent=percent)})
    write_model(control.folder.plan, layout("lab", scenario, 1, overrides, {MODEL: second}))
    return first, second


def share(control: Control, version: str, percent: int, content: bytes = ONNX + b"2", *, yes: bool = True) -> None:
    allow(control, version, content, action="deployment/canary", allow=yes, percent=percent)


def design(control: Control, scenario: Scenario, mode: Mode) -> None:
    overrides = Overrides(models={MODEL: ModelOverride(mode=mode)})
    write_model(control.folder.scenario, override(scenario, overrides))
    write_model(control.folder.plan, layout("lab", scenario, 1, overrides))


def batch_run(version: str, number: int, **table: Any) -> dict[str, Any]:
    when = (START + timedelta(hours=number)).isoformat()
    run = {
        "id": f"run-{number}",
        "model": MODEL,
        "version": version,
        "business_time": when,
        "rows": 1,
        "path": f"batch/{MODEL}/run-{number}.parquet",
    }
    rows = {"JFK-SFO": 345.5 + number, "JFK-???": None}
    same = {"model": MODEL, "version": version, "run": f"run-{number}", "business_time": when}
    usage = {
        "id": f"{MODEL}/run-{number}",
        "start": when,
        "end": when,
        "team": "network-planning",
        "model": MODEL,
        "mode": "batch",
        "unit": f"run-{number}",
        "resource": "batch_cpu",
        "kind": "consumed",
        "quantity": 1000,
        "basis": "modelled",
    }
    return {
        "run": run,
        "table": {"format": "archlab/table/v1", "keys": ["route"], "rows": rows, **same, **table},
        "usage": [usage],
    }


def until(condition: Callable[[], bool]) -> None:
    import time

    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
