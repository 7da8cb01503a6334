"""Prices, metered usage and the lines of a bill. Integers throughout."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from .base import NanoUsd, Slug, Spec, UtcTime


class Resource(StrEnum):
    """What is priced."""

    ONLINE_CPU = "online_cpu"
    """Reserved cores of a serving pool, per milli-core-second."""
    BATCH_CPU = "batch_cpu"
    """Cores of a job while it runs, per milli-core-second."""
    MATERIALIZE_CPU = "materialize_cpu"
    """Cores of a feature materialisation, per milli-core-second."""
    PLATFORM_CPU = "platform_cpu"
    """Cores that the whole platform shares (registry, gateway, control), per milli-core-second."""
    LOOKUP = "lookup"
    """Reads of a precomputed answer, per request."""
    DEVICE = "device"
    """Reserved share of a whole device, per device-millisecond: half of its memory for a second is 500."""
    DEVICE_SLICE = "device_slice"
    """Reserved MIG slices, per compute-slice-millisecond: a `2g` slice for a second is 2,000."""


class Basis(StrEnum):
    """How a figure came about."""

    METERED = "metered"
    EMULATED = "emulated"
    MODELLED = "modelled"


class Price(Spec):
    """One price from a day on: `nanousd` per `per` units of the resource."""

    resource: Resource
    effective: UtcTime
    nanousd: NanoUsd = Field(ge=0)
    per: int = Field(default=1, gt=0)


class PriceBook(Spec):
    """Dated prices; the newest that has come into effect counts."""

    currency: str = "USD"
    source: str
    prices: tuple[Price, ...]

    def at(self, resource: Resource, when: datetime) -> Price:
        """The price of a resource at a moment; LookupError when none is in effect."""
        known = [p for p in self.prices if p.resource == resource and p.effective <= when]
        if not known:
            raise LookupError(f"the price book has no price for {resource} on {when:%Y-%m-%d}")
        return max(known, key=lambda p: p.effective)


class UsageKind(StrEnum):
    """Why the resource was taken."""

    RESERVED = "reserved"
    """Held, whether used or not."""
    USED = "used"
    """Actually consumed out of what was reserved (never more than it)."""
    CONSUMED = "consumed"
    """Taken and paid as it goes, nothing reserved."""


class Usage(Spec):
    """A raw record: how much of a resource one model took in one interval. `id` makes recording it twice harmless."""

    id: str
    start: UtcTime
    end: UtcTime
    team: Slug
    model: str
    """Name of the model; empty for what the platform shares."""
    mode: str
    """online, batch, features or platform."""
    unit: str
    """The replica or run that took it."""
    resource: Resource
    kind: UsageKind
    quantity: int = Field(ge=0)
    basis: Basis


class LineKind(StrEnum):
    """What a bill's line stands for."""

    USED = "used"
    IDLE = "idle"
    SHARED = "shared"


class Line(Spec):
    """One line of the bill. Quantity × price, rounded half-even to nano-dollars once."""

    usage_id: str
    start: UtcTime
    end: UtcTime
    team: Slug
    model: str
    mode: str
    kind: LineKind
    resource: Resource
    quantity: int
    unit_price_nanousd: NanoUsd
    unit_price_per: int
    cost_nanousd: NanoUsd
    basis: Basis
