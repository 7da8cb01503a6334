"""Devices: what there is, what models need of them, and what a plan made of both.

A device is **real** when the driver of this machine reports it, and **emulated** when only the scenario declares it. An
emulated one changes placement, quota and price, never latency; whatever shows it says so.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from .base import Slug, Spec

MIB = 1 << 20
OFF, ANY = "off", "on"
Profile = Annotated[str, StringConstraints(pattern=r"^[1-7]g\.[1-9][0-9]{0,2}gb$")]
"""A MIG profile: compute slices and memory, `1g.5gb`."""
Wanted = Annotated[str, StringConstraints(pattern=r"^(?:[a-z][a-z0-9]*(?:-[a-z0-9]+)*|[1-7]g\.[1-9][0-9]{0,2}gb)$")]
"""`off`, `on` (any device), a device class, or a MIG profile."""


class DeviceBasis(StrEnum):
    """Whether a device is there."""

    REAL = "real"
    EMULATED = "emulated"


class DeclaredSlices(Spec):
    """Equal MIG slices of a declared device."""

    profile: Profile
    memory_mib: int = Field(gt=0)
    count: int = Field(default=1, ge=1, le=7)

    @property
    def compute(self) -> int:
        """Compute slices of one: the number before the `g`."""
        return int(self.profile[0])


class DeclaredDevice(Spec):
    """A device that a scenario puts at the learner's disposal, there or not."""

    name: Slug
    device_class: Slug
    """What learners ask for, e.g. `nvidia-l4`."""
    product: str
    """The vendor's name, as its driver reports it."""
    memory_mib: int = Field(gt=0)
    slices: tuple[DeclaredSlices, ...] = ()
    """With slices only they are handed out, each to one replica."""

    @model_validator(mode="after")
    def _geometry(self) -> DeclaredDevice:
        compute = sum(s.compute * s.count for s in self.slices)
        memory = sum(s.memory_mib * s.count for s in self.slices)
        if compute > MIG_COMPUTE_SLICES:
            raise ValueError(f"device {self.name}: {compute} compute slices, a card has {MIG_COMPUTE_SLICES}")
        if memory > self.memory_mib:
            raise ValueError(f"device {self.name}: its slices hold {memory} MiB, the card {self.memory_mib} MiB")
        return self


MIG_COMPUTE_SLICES = 7
"""NVIDIA Multi-Instance GPU User Guide, supported profiles: A100 and H100 split into at most seven."""


class DeviceNeed(Spec):
    """What each replica of a model takes on a device."""

    wanted: Wanted = OFF
    memory_mib: int = Field(default=512, gt=0)
    """Quota: enforced by the server, reserved by the planner."""
    tier: int = Field(default=1, ge=0, le=9)
    """Lower tiers are placed first."""
    exclusive: bool = False
    """Nobody else on its device; a MIG slice is never shared."""


class DeviceSlice(Spec):
    """One MIG slice in the inventory."""

    name: str
    """`DEVICE/PROFILE-N`."""
    profile: Profile
    memory_bytes: int

    @property
    def compute(self) -> int:
        """Compute slices of it."""
        return int(self.profile[0])


class Device(Spec):
    """One device of the inventory."""

    name: Slug
    device_class: Slug
    product: str
    memory_bytes: int
    slices: tuple[DeviceSlice, ...] = ()
    basis: DeviceBasis
    uuid: str
    """NVML's, or `emulated-NAME`."""
    index: int = 0
    """NVML's, which is CUDA's when devices are ordered by PCI bus; of no meaning for an emulated device."""
    stands_in: str = ""
    """Product of the real device that stands in for the declared one; empty for an emulated device."""


class Gain(Spec):
    """Whether a model gains from a device at all, and how that is known."""

    gains: bool
    basis: Literal["measured", "declared", "unknown"]
    because: str
    """Completes `MODEL … because`."""


UNKNOWN_GAIN = Gain(gains=False, basis="unknown", because="its node support has not been measured yet")


class DevicePlacement(Spec):
    """One replica on one device."""

    model: Slug
    team: Slug
    unit: Slug
    replica: int = Field(ge=0)
    device: Slug
    slice: str = ""
    """Name of the MIG slice; empty for a share of the whole device."""
    memory_bytes: int
    """Reserved for the replica."""
    exclusive: bool = False
    basis: DeviceBasis


class Outcome(StrEnum):
    """What became of a model's wish."""

    PLACED = "placed"
    REFUSED = "refused"
    CPU = "cpu"
    """It asks for no device, or can't use one now."""


class Code(StrEnum):
    """Why; stable, for programs."""

    PLACED = "placed"
    NOT_ASKED = "not_asked"
    NOT_ONLINE = "not_online"
    UNMEASURED = "unmeasured"
    NO_GAIN = "no_gain"
    CLASS = "class"
    MEMORY = "memory"
    SLICES = "slices"
    EXCLUSIVE = "exclusive"
    APART = "apart"
    ANTI_AFFINITY = "anti_affinity"


class Explanation(Spec):
    """Why a model is where it is, or why it was refused; one per model."""

    model: Slug
    outcome: Outcome
    code: Code
    text: str


class DevicePlan(Spec):
    """The planner's work, kept in the plan so that the next one starts from it."""

    inventory: tuple[Device, ...]
    placements: tuple[DevicePlacement, ...]
    explanations: tuple[Explanation, ...]
    gains: dict[Slug, Gain] = {}

    def device(self, name: str) -> Device:
        """The device of that name; KeyError otherwise."""
        for device in self.inventory:
            if device.name == name:
                return device
        raise KeyError(name)

    def explanation(self, model: str) -> Explanation | None:
        """What was said about a model; None for one that the planner did not know."""
        return next((e for e in self.explanations if e.model == model), None)


GAIN_FLOPS = 1000
"""Fewer operations per row than this are never worth the way to a device and back."""
GAIN_SHARE = 0.8
"""At least this share of a row's operations has to run on the device."""


class NodeSupport(Spec):
    """How much of an ONNX graph a CUDA device could run; tag `archlab.device_support`."""

    format: Literal["archlab/device-support/v1"] = "archlab/device-support/v1"
    nodes: int = Field(ge=0)
    supported_nodes: int = Field(ge=0)
    flops: int = Field(ge=0)
    """Estimated arithmetic operations for one row; nodes whose shapes are not known count nothing."""
    supported_flops: int = Field(ge=0)
    unsupported: tuple[str, ...] = ()
    """Operators without a kernel, sorted."""

    @property
    def gains(self) -> bool:
        """By work and not by nodes: nine of eleven nodes may be supported, and next to nothing be left to compute."""
        return self.supported_flops >= max(GAIN_FLOPS, GAIN_SHARE * self.flops)

    def gain(self) -> Gain:
        """The same, in words."""
        nodes = f"{self.supported_nodes} of its {self.nodes} nodes have a CUDA kernel"
        share = f"{self.supported_flops / self.flops:.0%}" if self.flops else "none"
        work = f"with {share} of {self.flops:,} operations a row"
        lacking = f"; {', '.join(self.unsupported)} {'have' if len(self.unsupported) > 1 else 'has'} none"
        little = f"; below {GAIN_FLOPS:,} a row a device is not worth the way" if self._too_little else ""
        because = f"{nodes}, {work}{lacking if self.unsupported else ''}{little}"
        return Gain(gains=self.gains, basis="measured", because=because)

    @property
    def _too_little(self) -> bool:
        return not self.gains and self.supported_flops >= GAIN_SHARE * self.flops


def declared_gain(gains: bool) -> Gain:
    """What a model's card says, while its file is not measured."""
    kind = "its card says that it multiplies matrices" if gains else "its card says that it stays on the CPU"
    return Gain(gains=gains, basis="declared", because=kind)
