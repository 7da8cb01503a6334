"""From a plan to the chart's values. Pure, but for reading what the chart and a lab's folder say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from archlab.errors import UserError
from archlab.plan.tenants import ceiling
from archlab.settings import LabFolder, data_root
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan, Role, Unit
from archlab.targets.kube.helm import merge
from archlab.targets.kube.pod_devices import check, requests
from archlab.targets.kube.tenants import team_values

OWN_VALUES = "values.yaml"
"""The learner's own values of the chart, in the lab's folder: they win over the plan's."""
KEYS_SECRET = "archlab-keys"  # noqa: S105 a name
GATEWAY_PLAN = "gateway/plan.json"
FILES = (
    *("lab.json", "scenario.json", "plan.json", "overrides.json", "known_columns.json"),
    *("policy/bundle.json", "policy/bundle.sig"),
)
"""Desired state that control needs, by path below the lab's folder."""


def refuse_regions(scenario: str, *, there: bool) -> None:
    """Let a lab pass that runs in one place.

    Raises:
        UserError: it has two regions.
    """
    if there:
        raise UserError(
            f"Scenario {scenario} has two regions. They are process groups of one machine, with a Postgres each and "
            "lines between them that can be cut; a cluster's namespaces can't be that yet.",
            f"Bring it up here: archlab up {scenario}",
        )


def values(plan: Plan, place: KubePlace, files: dict[str, str], own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Values of chart `archlab` for a plan.

    Args:
        plan: units become pools of servers; the gateway's replicas are its own.
        place: images and the node port.
        files: what control starts with.
        own: the learner's values, which are laid over these; they decide what pods ask for, and so the quotas of teams.

    Raises:
        PlacementError: pods can't be placed on devices as the plan places replicas.
        UserError: the plan has two regions.
    """
    check(plan)
    refuse_regions(plan.scenario, there=plan.regions is not None)
    asked = requests(plan)
    gateway: dict[str, Any] = {"replicas": plan.unit("gateway").replicas}
    if place.node_port:
        gateway["service"] = {"nodePort": place.node_port}
    teams = team_values(plan, merge(_defaults(), dict(own or {}))) if plan.tenants else {}
    return {
        "lab": {"name": plan.lab, "keysSecret": KEYS_SECRET, "files": files},
        "images": {"platform": _image(place.image), "serving": _image(place.serving_image)},
        "gateway": gateway,
        "units": {u.name: _unit(u, asked.get(u.name, {}), plan) for u in plan.units if u.role is Role.SERVER},
        **({"teams": teams} if teams else {}),
    }


def own_values(folder: LabFolder) -> dict[str, Any]:
    """The learner's own values of the chart; none when there is no such file, or nothing that can be read."""
    try:
        found = yaml.safe_load((folder.root / OWN_VALUES).read_text())
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def chosen(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The map at a path of values; empty where there is none."""
    for name in path:
        found = values.get(name)
        values = found if isinstance(found, Mapping) else {}
    return values


def desired_files(folder: LabFolder) -> dict[str, str]:
    """What a lab's folder holds of it; what is not there is left out."""
    found = {name: folder.root / name for name in FILES}
    return {name: path.read_text() for name, path in found.items() if path.is_file()}


def _defaults() -> dict[str, Any]:
    """The chart's own values."""
    found: dict[str, Any] = yaml.safe_load((data_root("helm") / "archlab" / "values.yaml").read_text())
    return found


def _unit(unit: Unit, devices: dict[str, int], plan: Plan) -> dict[str, Any]:
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
        made["autoscaling"] = _autoscaling(unit.replicas, ceiling(plan, unit), unit.autoscaling)
    return made


def _autoscaling(least: int, most: int, wanted: Autoscaling) -> dict[str, Any]:
    bounds = {"enabled": True, "minReplicas": least, "maxReplicas": most}
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
