"""A model that moves in the feed: to a table and back, and from one pool to another."""

from __future__ import annotations

import json

import pytest

from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.release import ReleaseKind
from archlab.spec.scenario import Mode, Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import Isolation
from control_process import Control
from mlflow_server import MlflowServer
from released import (
    MODEL,
    ONNX,
    TAGS,
    allow,
    batch_run,
    check_signature,
    decide,
    design,
    feed,
    sha256,
)

pytestmark = pytest.mark.slow


def test_a_table_of_what_is_retired_is_withdrawn(control: Control, online: str, scenario: Scenario) -> None:
    design(control, scenario, Mode.BATCH)
    control.post("/batch-runs", batch_run(online, 1))
    control.post("/releases/reconcile", {"retire": True})
    decide(control, "lifecycle/retire", online)
    control.post("/releases/reconcile", {})
    assert feed(control).releases == ()


def test_a_model_moves_to_batch_and_back_without_a_gap(control: Control, online: str, scenario: Scenario) -> None:
    def kinds() -> list[str]:
        return sorted(f"{r.kind.value}@{r.pool}" for r in feed(control).releases)

    control.post("/batch-runs", batch_run(online, 1))
    assert kinds() == ["onnx@online"]
    design(control, scenario, Mode.BATCH)
    control.post("/releases/reconcile", {})
    assert kinds() == ["onnx@online", "table@lookup"]
    control.post("/releases/reconcile", {"retire": True})
    assert kinds() == ["table@lookup"]
    control.post("/releases/reconcile", {})
    assert kinds() == ["table@lookup"]
    design(control, scenario, Mode.ONLINE)
    control.post("/releases/reconcile", {})
    assert kinds() == ["onnx@online", "table@lookup"]
    control.post("/releases/reconcile", {"retire": True})
    assert kinds() == ["onnx@online"]


def test_what_serves_is_not_retired_before_the_other_is_there(
    control: Control, online: str, scenario: Scenario
) -> None:
    design(control, scenario, Mode.BATCH)
    control.post("/releases/reconcile", {"retire": True})
    assert [r.kind for r in feed(control).releases] == [ReleaseKind.ONNX]


def test_the_newest_table_is_signed_and_served(control: Control, online: str, scenario: Scenario) -> None:
    design(control, scenario, Mode.BATCH)
    for number in (2, 1, 3, 3):
        answer = control.post("/batch-runs", batch_run(online, number))
        assert answer["id"] == f"run-{number}"
    control.post("/releases/reconcile", {"retire": True})
    (release,) = feed(control).releases
    assert (release.id, release.table_keys, release.keys) == (f"{MODEL}:{online}:run-3", ("route",), ("route",))
    assert release.source_sha256 == release.decision_sha256 == sha256(ONNX)
    content = (control.folder.releases / release.path).read_bytes()
    assert sha256(content) == release.sha256
    assert len(content) == release.size_bytes
    assert json.loads(content)["rows"] == {"JFK-SFO": 348.5, "JFK-???": None}
    check_signature(control, release)
    assert [run["id"] for run in control.get("/batch-runs")] == ["run-1", "run-2", "run-3"]
    assert {line["usage_id"] for line in control.get("/lines")} == {f"{MODEL}/run-{n}" for n in (1, 2, 3)}


def test_a_table_of_another_file_than_the_decided_one_is_refused(
    control: Control, online: str, scenario: Scenario
) -> None:
    design(control, scenario, Mode.BATCH)
    answer = control.post("/batch-runs", batch_run(online, 1, source_sha256="0" * 64))
    assert "was computed with" in answer["release"]["refused"][0]["reason"]
    assert [r.kind for r in feed(control).releases] == [ReleaseKind.ONNX]


def test_a_table_that_is_not_the_runs_is_a_user_error(control: Control) -> None:
    with control.client() as client:
        assert client.post("/batch-runs", json=batch_run("1", 1, run="other")).status_code == 400


def test_a_model_that_moves_is_in_both_pools_until_it_has_left(
    control: Control, registry: MlflowServer, scenario: Scenario
) -> None:
    version = registry.register(MODEL, ONNX, TAGS)
    registry.alias(MODEL, "champion", version)
    allow(control, version, ONNX)
    control.post("/releases/reconcile")
    (before,) = feed(control).releases
    own = Overrides(teams={"network-planning": TeamOverride(isolation=Isolation.POOL)})
    shared = Overrides(teams={"operations": TeamOverride(isolation=Isolation.SHARE)})
    for wanted, pool in ((own, "network-planning"), (shared, "online")):
        write_model(control.folder.scenario, override(scenario, wanted))
        write_model(control.folder.plan, layout("lab", scenario, 1, wanted))
        assert control.post("/releases/reconcile")["published"] == [before.id]
        both = feed(control).releases
        assert {(r.id, r.pool) for r in both} == {(before.id, "network-planning"), (before.id, "online")}
        for release in both:
            check_signature(control, release)
        control.post("/releases/reconcile", {"retire": True})
        (left,) = feed(control).releases
        assert (left.id, left.pool) == (before.id, pool)
    places = feed(control).shares["online"]["operations"]
    assert 1 <= places < 16
    sequence = feed(control).sequence
    write_model(control.folder.plan, layout("lab", scenario, 1, Overrides()))
    assert control.post("/releases/reconcile") == {"sequence": sequence + 1, "published": [], "refused": []}
    assert feed(control).shares == {}
