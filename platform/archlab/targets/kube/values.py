"""From a plan to the chart's values. Pure, but for reading what a lab's folder says."""

from __future__ import annotations

from typing import Any

from archlab.settings import LabFolder
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets.kube.pod_devices import check, requests

KEYS_SECRET = "archlab-keys"  # noqa: S105 a name
GATEWAY_PLAN = "gateway/plan.json"
FILES = (
    *("lab.json", "scenario.json", "plan.json", "overrides.json", "known_columns.json"),
    *("policy/bundle.json", "policy/bundle.sig"),
)
"""Desired state that control needs, by path below the lab's folder."""


def values(plan: Plan, place: KubePlace, files: dict[str, str]) -> dict[str, Any]:
    """Values of chart `archlab` for a plan.

    Args:
        plan: units become pools of servers; the gateway's replicas are its own.
        place: images and the node port.
        files: what control starts with.

    Raises:
        PlacementError: pods can't be placed on devices as the plan places replicas.
    """
    check(plan)
    asked = requests(plan)
    gateway: dict[str, Any] = {"replicas": plan.unit("gateway").replicas}
    if place.node_port:
        gateway["service"] = {"nodePort": place.node_port}
    return {
        "lab": {"name": plan.lab, "keysSecret": KEYS_SECRET, "files": files},
        "images": {"platform": _image(place.image), "serving": _image(place.serving_image)},
        "gateway": gateway,
        "units": {unit.name: _unit(unit, asked.get(unit.name, {})) for unit in plan.units if unit.role is Role.SERVER},
    }


def desired_files(folder: LabFolder) -> dict[str, str]:
    """What a lab's folder holds of it; what is not there is left out."""
    found = {name: folder.root / name for name in FILES}
    return {name: path.read_text() for name, path in found.items() if path.is_file()}


def _unit(unit: Unit, devices: dict[str, int]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "replicas": unit.replicas,
        "pool": unit.pool,
        "runtime": unit.runtime or "uvicorn",
        "serves": unit.serves or "onnx",
        "team": unit.team,
    }
    return {**made, "devices": devices} if devices else made


def _image(name: str) -> dict[str, str]:
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return {"repository": name, "tag": "latest"}
    return {"repository": repository, "tag": tag}
