"""Challengers in the feed: beside the champion, with the share of the callers that was decided."""

from __future__ import annotations

import pytest

from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.spec.scenario import ModelOverride, Overrides, Scenario
from control_process import Control
from mlflow_server import MlflowServer
from released import (
    MODEL,
    ONNX,
    TAGS,
    allow,
    canary,
    check_signature,
    feed,
    share,
)

pytestmark = pytest.mark.slow


def test_a_challenger_is_released_beside_the_champion(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    first, second = canary(control, registry, scenario, 20)
    share(control, second, 20)
    control.post("/releases/reconcile")
    assert [(r.role, r.version, r.weight) for r in feed(control).releases] == [
        ("challenger", second, 20),
        ("champion", first, 80),
    ]
    known = control.get(f"/traffic?model={MODEL}")
    assert [(t["version"], t["until"]) for t in known["tenures"]] == [(first, None)]
    assert [(s["version"], s["percent"]) for s in known["shares"]] == [(second, 20)]
    assert known["routed"] == {second: 20}


@pytest.mark.parametrize(
    ("percent", "content", "yes"),
    [(None, b"", True), (19, ONNX + b"2", True), (100, ONNX, True), (100, ONNX + b"2", False)],
    ids=["nothing", "a smaller share", "another file", "a denial"],
)
def test_more_callers_than_decided_get_no_challenger(
    control: Control, registry: MlflowServer, scenario: Scenario, percent: int | None, content: bytes, yes: bool
) -> None:
    first, second = canary(control, registry, scenario, 20)
    if percent is not None:
        share(control, second, percent, content, yes=yes)
    (refused,) = control.post("/releases/reconcile")["refused"]
    assert (refused["version"], refused["role"]) == (second, "challenger")
    assert "sends 20 % of the callers of flight-time" in refused["reason"]
    assert [r.version for r in feed(control).releases] == [first]


def test_a_share_that_is_taken_back_takes_the_challenger_from_a_plan_that_goes_on(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    first, second = canary(control, registry, scenario, 20)
    share(control, second, 20)
    control.post("/releases/reconcile")
    share(control, second, 0)
    assert "allows 0 %" in control.post("/releases/reconcile")["refused"][0]["reason"]
    assert [r.version for r in feed(control).releases] == [first]
    write_model(control.folder.plan, layout("lab", scenario, 1, Overrides()))
    assert control.post("/releases/reconcile")["refused"] == []
    assert {r.version for r in feed(control).releases} == {first, second}


def test_a_version_that_the_gateway_names_stays_until_it_does_not(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    versions = [registry.register(MODEL, ONNX + bytes([n]), TAGS) for n in range(3)]
    for n, version in enumerate(versions):
        allow(control, version, ONNX + bytes([n]), alias="challenger" if n else "champion")
    registry.alias(MODEL, "champion", versions[0])
    registry.alias(MODEL, "challenger", versions[1])
    mirrored = Overrides(models={MODEL: ModelOverride(shadow_percent=100)})
    write_model(control.folder.plan, layout("lab", scenario, 1, mirrored, {MODEL: versions[1]}))
    control.post("/releases/reconcile")
    registry.alias(MODEL, "challenger", versions[2])
    control.post("/releases/reconcile")
    assert {(r.role, r.version) for r in feed(control).releases} == {
        ("champion", versions[0]),
        ("challenger", versions[1]),
        ("challenger", versions[2]),
    }
    check_signature(control, feed(control).releases[0])
    write_model(control.folder.plan, layout("lab", scenario, 1, mirrored, {MODEL: versions[2]}))
    control.post("/releases/reconcile")
    assert {r.version for r in feed(control).releases} == {versions[0], versions[2]}


def test_a_challenger_that_became_the_champion_is_released_once(control: Control, registry: MlflowServer) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    for alias in ("champion", "challenger"):
        registry.alias(MODEL, alias, version)
        allow(control, version, ONNX, alias=alias)
    control.post("/releases/reconcile")
    assert [(r.role, r.version) for r in feed(control).releases] == [("champion", version)]
    assert control.post("/releases/reconcile") == {"sequence": 1, "published": [], "refused": []}
