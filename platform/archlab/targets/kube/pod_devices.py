"""What the pods of a unit ask for, that a plan places models on devices for. Pure.

Pods of a Deployment are all alike, and Kubernetes knows devices as names and numbers. So every pod of a unit asks for
the devices that the unit's first replica has models on, and the kubelet chooses which cards these are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

from archlab.errors import PlacementError
from archlab.spec.devices import DevicePlacement, DevicePlan
from archlab.spec.plan import Plan, Role
from archlab.targets.devices import document
from archlab.targets.kube.api import Object
from archlab.targets.kube.cluster_state import is_device

GPU = "nvidia.com/gpu"
SLICE = "nvidia.com/mig-"
"""Followed by the profile (NVIDIA k8s-device-plugin, MIG support, strategy `mixed`)."""


def requests(plan: Plan) -> dict[str, dict[str, int]]:
    """Device resources of each pod, per unit that has any."""
    if plan.devices is None:
        return {}
    servers = [unit.name for unit in plan.units if unit.role is Role.SERVER]
    return {unit: asked for unit in servers if (asked := _first(plan.devices, unit))}


def pod_document(plan: Plan, unit: str) -> dict[str, Any] | None:
    """Devices document of every pod of a unit; None for a unit without devices.

    Each device has a `resource` more: the server puts the card that its pod holds in the place of the planned one.
    """
    if plan.devices is None or not _first(plan.devices, unit):
        return None
    made = document(plan.devices, unit, 0)
    named = {placed.slice or placed.device: resource(plan.devices, placed) for placed in plan.devices.placements}
    return {**made, "devices": [{**entry, "resource": named[entry["name"]]} for entry in made["devices"]]}


def names(plan: Plan) -> tuple[str, ...]:
    """The resources that a plan's devices are handed out as; a whole card where it declares none."""
    cards = plan.devices.inventory if plan.devices else ()
    parts = {f"{SLICE}{part.profile}" for card in cards for part in card.slices}
    whole = {GPU} if not parts or any(not card.slices for card in cards) else set()
    return tuple(sorted(whole | parts))


def resource(plan: DevicePlan, placed: DevicePlacement) -> str:
    """The extended resource that a place is handed out as."""
    parts = plan.device(placed.device).slices
    return next((f"{SLICE}{part.profile}" for part in parts if part.name == placed.slice), GPU)


def _first(plan: DevicePlan, unit: str) -> dict[str, int]:
    own = {(p.device, p.slice): p for p in plan.placements if (p.unit, p.replica) == (unit, 0)}
    return dict(sorted(Counter(resource(plan, placed) for placed in own.values()).items()))


def check(plan: Plan) -> None:
    """Let a plan pass only if alike pods can hold what it places.

    Raises:
        PlacementError: they can't; says why, and what can be asked for.
    """
    if plan.devices is not None:
        _one_kind(plan.devices)
        _one_pod(plan.devices)


def added(before: Plan, after: Plan) -> set[str]:
    """Resources that some pod asks for by `after` and none did by `before`."""
    old, new = ({name for asked in requests(plan).values() for name in asked} for plan in (before, after))
    return new - old


def check_offered(resources: Collection[str], nodes: Iterable[Object] | None, scenario: str) -> None:
    """Let resources pass of which some node has a healthy one, held or not: what is held may become free.

    Args:
        resources: what pods are to ask for.
        nodes: as the API shows them; None where that is not known, which lets everything pass.
        scenario: whose devices the cluster may be told to offer.

    Raises:
        PlacementError: no node has any; names the command that brings emulated ones.
    """
    if nodes is None:
        return
    found = [entry for node in nodes for entry in node["status"]["allocatable"].items()]
    offered = {name for name, count in found if is_device(name) and int(count)}
    if lacking := sorted(set(resources) - offered):
        raise PlacementError(
            f"No node of the cluster offers a healthy {lacking[0]}. Nothing was changed.",
            f"Emulated devices: archlab cluster install --devices {scenario}; what there is: archlab cluster status",
        )


def _one_kind(plan: DevicePlan) -> None:
    kinds: dict[str, set[str]] = {}
    for placed in plan.placements:
        kinds.setdefault(placed.model, set()).add(resource(plan, placed))
    for model, found in kinds.items():
        if len(found) > 1:
            raise PlacementError(
                f"{model} would need {' for one replica and '.join(sorted(found))} for another, but the pods of a unit "
                "are all alike. Nothing was changed.",
                f"Use one replica first (archlab set {model} replicas 1), or ask for a device class or a MIG profile.",
            )


def _one_pod(plan: DevicePlan) -> None:
    holders: dict[tuple[str, str], dict[tuple[str, int], str]] = {}
    for placed in plan.placements:
        holders.setdefault((placed.device, placed.slice), {})[placed.unit, placed.replica] = placed.model
    for (device, part), who in holders.items():
        if len(who) > 1:
            raise PlacementError(
                f"{part or device} would be shared by {' and '.join(f'{u}-{r}' for u, r in sorted(who))}, but a card "
                "is held by one pod. Nothing was changed.",
                f"Ask for another device for {sorted(who.values())[-1]}: archlab devices shows what is free.",
            )
