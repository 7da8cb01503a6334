"""What is advertised: declared cards as extended resources, each device with an identity.

Resources are named as NVIDIA's device plugin names them with the strategy `mixed` (NVIDIA k8s-device-plugin, MIG
support): a whole card is `nvidia.com/gpu`, a MIG slice is `nvidia.com/mig-<profile>`; a card that is split hands out
slices only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "archlab/device-plugin/v1"
BASIS = "emulated"
PREFIX = f"{BASIS}-"
"""Every identity begins with it; what the kubelet has registered under other identities is somebody else's."""
GPU = "nvidia.com/gpu"
PROFILE = re.compile(r"[1-7]g\.[1-9][0-9]{0,2}gb")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MIB = 1 << 20


class ConfigurationError(ValueError):
    """The devices can't be understood; the message names the place."""


@dataclass(frozen=True, slots=True)
class Device:
    """One thing that one container gets: a whole card, or one MIG slice."""

    resource: str
    name: str
    """`CARD`, or `CARD/PROFILE-N` for a slice."""
    card: str
    """`NAME`, or `NAME-N` where equal cards are counted."""
    device_class: str
    product: str
    profile: str
    """Empty for a whole card."""
    memory_bytes: int

    @property
    def id(self) -> str:
        """What the kubelet knows it by."""
        return PREFIX + self.name.replace("/", "-")

    def describe(self, node: str) -> dict[str, Any]:
        """What a container that holds it is told."""
        return {
            "name": self.name,
            "uuid": f"{PREFIX}{node}-{self.id.removeprefix(PREFIX)}",
            "device_class": self.device_class,
            "product": self.product,
            "profile": self.profile,
            "memory_bytes": self.memory_bytes,
            "basis": BASIS,
        }


def load(path: Path) -> tuple[Device, ...]:
    """The devices that a file declares (`archlab/device-plugin/v1`).

    Raises:
        ConfigurationError: it is not such a file, or declares something impossible.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return parse(document)


def parse(document: Any) -> tuple[Device, ...]:
    """The devices of a document; see `load`."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ConfigurationError(f"this is not a document of format {FORMAT}")
    found = [
        device
        for index, card in enumerate(_list(document, "devices", "document"))
        for device in _cards(card, f"devices[{index}]")
    ]
    if len({device.id for device in found}) != len(found):
        raise ConfigurationError("two devices share a name")
    return tuple(found)


def by_resource(devices: Collection[Device]) -> dict[str, tuple[Device, ...]]:
    """The devices of each resource, in their order."""
    names = dict.fromkeys(device.resource for device in devices)
    return {name: tuple(device for device in devices if device.resource == name) for name in names}


def unhealthy(devices: Collection[Device], named: str) -> frozenset[str]:
    """Ids of the devices that a list of names marks, separated by commas or blanks.

    A name is a device's, its id, or a card's: a card fails with all its slices. Unknown names mark nothing.
    """
    names = {name for name in re.split(r"[,\s]+", named) if name}
    return frozenset(device.id for device in devices if names & {device.name, device.id, device.card})


def _cards(card: Any, place: str) -> Iterator[Device]:
    if not isinstance(card, dict):
        raise ConfigurationError(f"{place} is not an object")
    name, product = _text(card, "name", place), _text(card, "product", place)
    device_class = card.get("class") or name
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"{place}.name is {name!r}; lower case letters, digits and dashes are meant")
    memory, slices = _positive(card, "memoryMib", place), card.get("slices") or []
    compute, used = _split(slices, place)
    if compute > 7 or used > memory:
        raise ConfigurationError(f"{place}: its slices take {compute} of 7 compute slices, {used} of {memory} MiB")
    for own in [name] if "count" not in card else [f"{name}-{n}" for n in range(_positive(card, "count", place))]:
        if not slices:
            yield Device(GPU, own, own, device_class, product, "", memory * MIB)
        for part in slices:
            profile, size = part["profile"], part["memoryMib"] * MIB
            for index in range(part.get("count", 1)):
                slice_name = f"{own}/{profile}-{index}"
                yield Device(f"nvidia.com/mig-{profile}", slice_name, own, device_class, product, profile, size)


def _split(slices: Any, place: str) -> tuple[int, int]:
    """Compute slices and MiB that the slices take together."""
    compute = memory = 0
    for index, part in enumerate(slices):
        where = f"{place}.slices[{index}]"
        if not isinstance(part, dict) or not PROFILE.fullmatch(str(part.get("profile"))):
            raise ConfigurationError(f"{where}.profile is not a MIG profile such as 1g.5gb")
        count = _positive({"count": 1, **part}, "count", where)
        compute += count * int(part["profile"][0])
        memory += count * _positive(part, "memoryMib", where)
    return compute, memory


def _list(document: Mapping[str, Any], key: str, place: str) -> list[Any]:
    found = document.get(key)
    if not isinstance(found, list):
        raise ConfigurationError(f"{place}: {key} is not a list")
    return found


def _text(document: Mapping[str, Any], key: str, place: str) -> str:
    found = document.get(key)
    if not isinstance(found, str) or not found:
        raise ConfigurationError(f"{place}.{key} is missing")
    return found


def _positive(document: Mapping[str, Any], key: str, place: str) -> int:
    found = document.get(key)
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise ConfigurationError(f"{place}.{key} is {found!r}; a whole number from 1 is meant")
    return found
