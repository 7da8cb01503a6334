"""From a plan to the chart's values. Pure, but for reading what a lab's folder says."""

from __future__ import annotations

from typing import Any

import yaml

from archlab.settings import LabFolder
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets.kube.pod_devices import check, requests

OWN_VALUES = "values.yaml"
"""The learner's own values of the chart, in the lab's folder: they win over the plan's."""
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


def own_values(folder: LabFolder) -> dict[str, Any]:
    """The learner's own values of the chart; none when there is no such file, or nothing that can be read."""
    try:
        found = yaml.safe_load((folder.root / OWN_VALUES).read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


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
    if devices:
        made["devices"] = devices
    if unit.autoscaling:
        made["autoscaling"] = _autoscaling(unit.replicas, unit.autoscaling)
    return made


def _autoscaling(least: int, wanted: Autoscaling) -> dict[str, Any]:
    bounds = {"enabled": True, "minReplicas": least, "maxReplicas": wanted.max_replicas}
    if wanted.signal is Signal.CONCURRENCY:
        return {**bounds, "by": "control"}
    return {
        **bounds,
        "by": "hpa",
        "targetCPUMillicores": wanted.target_milli,
        "stabilizationSeconds": wanted.stabilization_s,
    }


def _image(name: str) -> dict[str, str]:
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return {"repository": name, "tag": "latest"}
    return {"repository": repository, "tag": tag}
