"""Pods that answer for a service, out of EndpointSlices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archlab.addresses import part, replicas
from archlab.errors import UserError
from archlab.incluster import Pod, ready_pods
from archlab.settings import LabFolder
from archlab.spec.plan import Plan, Role, Unit


def entry(service: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": list(endpoints)}


def endpoint(host: str, name: str = "", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [host], "conditions": conditions, "targetRef": {"name": name or host}}


def test_a_pod_that_stops_or_starts_gets_no_request() -> None:
    slices = [
        entry("online", endpoint("10.0.0.1", "online-a", ready=True), endpoint("10.0.0.2", "online-b", ready=False)),
        entry("online", endpoint("10.0.0.1", "online-a", ready=True), endpoint("10.0.0.3", "online-c")),
        entry("lookup"),
    ]
    found = ready_pods(slices)
    assert found["online"] == (Pod("online-a", "10.0.0.1"), Pod("online-c", "10.0.0.3"))
    assert found["lookup"] == ()


def test_a_service_without_endpoints_has_no_pods() -> None:
    assert ready_pods([{"metadata": {"labels": {"kubernetes.io/service-name": "x"}}, "endpoints": None}]) == {"x": ()}


def test_parts_are_sockets_unless_the_environment_names_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = LabFolder(tmp_path / "lab")
    assert part(folder, "control").path == folder.socket("control")
    monkeypatch.setenv("ARCHLAB_CONTROL_AT", "control:8000")
    found = part(folder, "control")
    assert (found.path, found.base) == (None, "http://control:8000")
    monkeypatch.setenv("ARCHLAB_CONTROL_AT", "control")
    with pytest.raises(UserError, match="host:port"):
        part(folder, "control")


def test_replicas_on_one_machine_are_those_that_are_planned(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    plan = Plan(
        lab="lab",
        scenario="test",
        seed=1,
        units=(
            Unit(name="control", role=Role.CONTROL, replicas=1),
            Unit(name="online", role=Role.SERVER, replicas=2, pool="fast"),
        ),
        routes=(),
        reservations=(),
    )
    assert [(r.name, r.pool, r.address.path) for r in replicas(folder, plan)] == [
        ("online-0", "fast", folder.socket("online-0")),
        ("online-1", "fast", folder.socket("online-1")),
    ]
