"""What a lab knows of devices: those of this machine, what was measured of its models, and what is placed."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pydantic import ValidationError

from archlab.errors import ArchlabError, PlacementError, UnavailableError
from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.plan.inventory import inventory
from archlab.plan.placement import Facts, Held, plan_devices
from archlab.plan.resolve import override
from archlab.spec.devices import (
    Code,
    Device,
    DeviceBasis,
    DevicePlan,
    DeviceSlice,
    Explanation,
    Gain,
    NodeSupport,
    Outcome,
    declared_gain,
)
from archlab.spec.plan import Plan
from archlab.spec.scenario import ModelOverride

SUPPORT_TAG = "archlab.device_support"
TAKEN_WITHIN_S = 30.0
_ON_DEVICE = re.compile(r"^archlab_model_device\{(?P<labels>[^}]*)\}\s+1", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Spot(NamedTuple):
    """One model of one replica on one device or slice."""

    model: str
    device: str
    unit: str
    replica: str


def real_devices() -> tuple[Device, ...]:
    """What the driver of this machine reports; nothing where there is none."""
    from archlab_serving.nvml import gpus

    return tuple(
        Device(
            name=f"gpu-{gpu.index}",
            device_class=re.sub(r"[^a-z0-9]+", "-", gpu.product.lower()).strip("-")[:40] or "gpu",
            product=gpu.product,
            memory_bytes=gpu.memory_bytes,
            slices=tuple(
                DeviceSlice(name=part.uuid, profile=part.profile, memory_bytes=part.memory_bytes) for part in gpu.slices
            ),
            basis=DeviceBasis.REAL,
            uuid=gpu.uuid,
            index=gpu.index,
        )
        for gpu in gpus()
    )


def usable(lab: Lab) -> tuple[Device, ...]:
    """Devices of this machine that the lab's units could use: none of them where these run elsewhere."""
    return real_devices() if lab.target.on_this_machine else ()


def known(lab: Lab) -> Facts | None:
    """Facts of a running lab, gains as measured on the champions' files; None for a scenario without devices."""
    if not lab.declared.devices:
        return None
    return Facts(inventory(lab.declared.devices, usable(lab)), _gains(lab, _measured(lab)), _held(lab))


def remembered(lab: Lab) -> Facts | None:
    """The same before a lab's registry runs: as the last plan had it."""
    if not lab.declared.devices:
        return None
    last = _last(lab)
    return Facts(inventory(lab.declared.devices, usable(lab)), _gains(lab, last.gains if last else {}), _held(lab))


def remeasure(lab: Lab) -> None:
    """Put into the plan what was measured of files that were registered after it was made."""
    plan = lab.plan
    if plan.devices is not None:
        write_model(lab.folder.plan, plan.model_copy(update={"devices": plan_devices(lab.scenario, known(lab))}))


def what_if(lab: Lab, wishes: Mapping[str, str]) -> DevicePlan | None:
    """The device plan that would come out if these models asked for these devices; nothing is changed."""
    changed = {
        name: lab.overrides.models.get(name, ModelOverride()).model_copy(update={"device": wish})
        for name, wish in wishes.items()
    }
    wanted = lab.overrides.model_copy(update={"models": {**lab.overrides.models, **changed}})
    return plan_devices(override(lab.resolved, wanted), known(lab))


def check(before: Plan, after: Plan, *, asking: str = "") -> None:
    """Let a plan pass only if nobody loses a device by it and who asks gets one.

    Args:
        before: the plan in force.
        after: the one that is wanted.
        asking: model that asks for a device by this change; empty for none.

    Raises:
        PlacementError: with the planner's reason.
    """
    if after.devices is None:
        return
    for said in after.devices.explanations:
        was = before.devices.explanation(said.model) if before.devices else None
        lost = said.outcome is Outcome.REFUSED and (was is None or was.outcome is not Outcome.REFUSED)
        denied = said.model == asking and (said.outcome is Outcome.REFUSED or said.code is Code.NOT_ONLINE)
        if lost or denied:
            raise PlacementError(f"{said.text} Nothing was changed.", _remedy(said))


def taken(exposition: str) -> set[Spot]:
    """What servers hold on devices, from the lab's metrics."""
    found = set()
    for match in _ON_DEVICE.finditer(exposition):
        labels = dict(_LABEL.findall(match["labels"]))
        found.add(Spot(labels["model"], labels["device"], labels["unit"], labels["replica"]))
    return found


def shared(held: Iterable[Spot]) -> dict[tuple[str, str], int]:
    """How many replicas of one model hold slices of one card, by model and card, where more than one does.

    The planner never places them so: a card fails as a whole. A kubelet that chooses cards may.
    """
    holders = {(spot.model, spot.device.partition("/")[0], spot.unit, spot.replica) for spot in held}
    counted = Counter((model, card) for model, card, _, _ in holders)
    return {found: count for found, count in sorted(counted.items()) if count > 1}


def observed(lab: Lab) -> tuple[Spot, ...]:
    """What servers hold now, by their own word; nothing while the lab does not answer."""
    try:
        return tuple(sorted(taken(lab.control.text("/metrics"))))
    except ArchlabError:
        return ()


def await_taken(lab: Lab, before: Plan, after: Plan) -> None:
    """Until servers hold what was placed anew.

    Raises:
        UnavailableError: one does not; it goes on computing on the CPU, and its log says why.
    """
    new = _spots(after) - _spots(before)
    deadline = time.monotonic() + TAKEN_WITHIN_S
    here = lab.target.on_this_machine
    while missing := new and untaken(new, taken(lab.control.text("/metrics")), here=here):
        if time.monotonic() > deadline:
            spot = min(missing)
            raise UnavailableError(
                f"{spot.unit}-{spot.replica} has not put {spot.model} on {spot.device} within {TAKEN_WITHIN_S:.0f} s.",
                f"See why: archlab logs {spot.unit}. Undo it: archlab set {spot.model} device off",
            )
        time.sleep(0.1)


def untaken(wanted: set[Spot], held: set[Spot], *, here: bool) -> set[Spot]:
    """What servers don't hold yet.

    Args:
        wanted: as planned.
        held: as servers say.
        here: False where a cluster names replicas and chooses their cards: only model and unit can be compared.
    """
    if here:
        return wanted - held
    found = {(spot.model, spot.unit) for spot in held}
    return {spot for spot in wanted if (spot.model, spot.unit) not in found}


def _spots(plan: Plan) -> set[Spot]:
    placed = plan.devices.placements if plan.devices else ()
    return {Spot(p.model, p.slice or p.device, p.unit, str(p.replica)) for p in placed}


def _remedy(said: Explanation) -> str:
    match said.code:
        case Code.NO_GAIN | Code.UNMEASURED:
            return "See which models would gain: archlab devices"
        case Code.NOT_ONLINE:
            return f"Compute its answers when asked: archlab set {said.model} mode online"
        case Code.ANTI_AFFINITY:
            return f"Use fewer replicas first (archlab set {said.model} replicas N); what is free: archlab devices"
        case _:
            return "See what is placed where: archlab devices"


def _gains(lab: Lab, measured: Mapping[str, Gain]) -> dict[str, Gain]:
    """What was measured; what the card says of a model that was not."""
    lacking = [m.name for m in lab.declared.models if m.name not in measured]
    cards = lab.business.cards if lacking else {}
    return {**{n: declared_gain(cards[n].gains_from_device) for n in lacking if n in cards}, **measured}


def _measured(lab: Lab) -> dict[str, Gain]:
    registry = lab.registry()
    models = registry.get("/registered-models/search?max_results=200").get("registered_models", [])
    champions = {
        (m["name"], str(a["version"])) for m in models for a in m.get("aliases", []) if a["alias"] == "champion"
    }
    versions = registry.get("/model-versions/search?max_results=1000").get("model_versions", [])
    found = {}
    for version in versions:
        tags = {t["key"]: t["value"] for t in version.get("tags", [])}
        if (version["name"], str(version["version"])) in champions and (gain := gain_of(tags)):
            found[version["name"]] = gain
    return found


def gain_of(tags: Mapping[str, str]) -> Gain | None:
    """What was measured of a version when it was registered; None when nothing was, or the tag can't be read."""
    try:
        return NodeSupport.model_validate_json(tags.get(SUPPORT_TAG, "")).gain()
    except ValidationError:
        return None


def _held(lab: Lab) -> Held:
    last = _last(lab)
    return last.placements if last else ()


def _last(lab: Lab) -> DevicePlan | None:
    try:
        return lab.plan.devices
    except ArchlabError:
        return None
