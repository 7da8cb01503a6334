"""Prices, metered usage and the lines of a bill. Integers throughout."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, model_validator

from .access import PLATFORM_TEAM
from .base import NanoUsd, Slug, Spec, UtcTime

Owner = Annotated[str, Field(pattern=r"^([a-z][a-z0-9]*(-[a-z0-9]+)*)?$", max_length=40)]
"""A team; empty where nobody is named."""


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
    TRAINING_CPU = "training_cpu"
    """Cores of training and registration, per milli-core-second; free unless the price book names a price."""
    STORAGE = "storage"
    """Files that are kept, per KiB-second; free unless the price book names a price."""
    TRANSFER = "transfer"
    """Bytes that leave a region for a copy, per KiB; free unless the price book names a price."""


FREE_UNLESS_PRICED = frozenset({Resource.TRAINING_CPU, Resource.STORAGE, Resource.TRANSFER})


class Purchase(StrEnum):
    """How capacity is bought."""

    ON_DEMAND = "on_demand"
    """Paid as it is held; no promise on either side."""
    SPOT = "spot"
    """Spare capacity, cheaper. That it may be taken away is not played out here."""
    RESERVED = "reserved"
    """Out of a commitment, which is paid whether it is used or not."""


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
    purchase: Purchase = Purchase.ON_DEMAND


class Commitment(Spec):
    """Capacity that is paid for at the price for `reserved`, used or not."""

    name: Slug
    resource: Resource
    per_second: int = Field(gt=0)
    """Units of the resource a second: milli-cores, or 1,000 for a whole device."""
    starts: UtcTime
    ends: UtcTime
    team: Slug = PLATFORM_TEAM
    """Who pays for what nobody uses; the platform's own is shared."""

    @model_validator(mode="after")
    def _forward(self) -> Commitment:
        if self.ends <= self.starts:
            raise ValueError(f"commitment {self.name} ends before it starts")
        return self


class PriceBook(Spec):
    """Dated prices; the newest that has come into effect counts."""

    currency: str = "USD"
    source: str
    prices: tuple[Price, ...]
    commitments: tuple[Commitment, ...] = ()

    @model_validator(mode="after")
    def _commitments(self) -> PriceBook:
        names = [c.name for c in self.commitments]
        if len(set(names)) != len(names):
            raise ValueError("two commitments share a name")
        for made in self.commitments:
            if self.known(made.resource, made.starts, Purchase.RESERVED) is None:
                raise ValueError(f"commitment {made.name} has no price: {made.resource} bought as reserved is missing")
        return self

    def at(self, resource: Resource, when: datetime, purchase: Purchase = Purchase.ON_DEMAND) -> Price:
        """The price of a resource at a moment; LookupError when none is in effect and it isn't free by default."""
        if (price := self.known(resource, when, purchase)) is not None:
            return price
        if resource in FREE_UNLESS_PRICED:
            return Price(resource=resource, effective=_ALWAYS, nanousd=0, purchase=purchase)
        bought = "" if purchase is Purchase.ON_DEMAND else f" bought as {purchase}"
        raise LookupError(f"the price book has no price for {resource}{bought} on {when:%Y-%m-%d}")

    def known(self, resource: Resource, when: datetime, purchase: Purchase = Purchase.ON_DEMAND) -> Price | None:
        """The price that the book names, if it does."""
        named = [p for p in self.prices if (p.resource, p.purchase) == (resource, purchase) and p.effective <= when]
        return max(named, key=lambda p: p.effective, default=None)

    def changes(self, resource: Resource, purchase: Purchase, start: datetime, end: datetime) -> list[datetime]:
        """When, after the start and before the end, another price comes into effect."""
        dates = {p.effective for p in self.prices if (p.resource, p.purchase) == (resource, purchase)}
        return sorted(date for date in dates if start < date < end)


_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class UsageKind(StrEnum):
    """Why the resource was taken."""

    RESERVED = "reserved"
    """Held, whether used or not."""
    USED = "used"
    """Actually consumed out of what was reserved (never more than it)."""
    CONSUMED = "consumed"
    """Taken and paid as it goes, nothing reserved."""
    COMMITTED = "committed"
    """A commitment's size in the interval: what reservations that draw on it may take."""


class Usage(Spec):
    """A raw record: how much of a resource one model took in one interval. `id` makes recording it twice harmless."""

    id: str
    start: UtcTime
    end: UtcTime
    team: Owner
    model: str
    """Name of the model; empty for what the platform shares."""
    mode: str
    """online, batch, training, storage, features, platform or commitment."""
    unit: str
    """The replica or run that took it."""
    resource: Resource
    kind: UsageKind
    quantity: int = Field(ge=0)
    basis: Basis
    purchase: Purchase = Purchase.ON_DEMAND
    commitment: str = ""
    """Of what is bought as reserved: its name."""
    reason: str = ""
    """Why nobody can be asked to pay; empty when a team can."""

    @model_validator(mode="after")
    def _bought(self) -> Usage:
        if (self.purchase is Purchase.RESERVED) is not bool(self.commitment):
            raise ValueError("what is bought as reserved names its commitment, and nothing else does")
        if self.commitment and self.kind not in (UsageKind.RESERVED, UsageKind.COMMITTED):
            raise ValueError(f"{self.kind} usage can't draw on a commitment: only reservations can")
        if self.kind is UsageKind.COMMITTED and not self.commitment:
            raise ValueError("what is committed names its commitment")
        return self


class LineKind(StrEnum):
    """What a bill's line stands for."""

    USED = "used"
    IDLE = "idle"
    SHARED = "shared"
    UNALLOCATED = "unallocated"
    """Nobody can be asked to pay; the line says why."""


class Line(Spec):
    """One line of the bill: quantity × price, rounded half-even to nano-dollars once; or a correction of a line."""

    usage_id: str
    start: UtcTime
    end: UtcTime
    team: Owner
    model: str
    mode: str
    kind: LineKind
    resource: Resource
    quantity: int
    unit_price_nanousd: NanoUsd
    unit_price_per: int
    cost_nanousd: NanoUsd
    basis: Basis
    purchase: Purchase = Purchase.ON_DEMAND
    commitment: str = ""
    reason: str = ""
    """Of an unallocated line why it is one, of a correction why it was made."""
    corrects: str = ""
    """Id of the line that this one corrects; its quantity is 0 then."""
    booked: UtcTime | None = None
    """When the correction was booked, on the business clock."""
    booked_by: str = ""

    @property
    def id(self) -> str:
        """Names the line for good: the same record always becomes a line of the same id."""
        key = "|".join((self.usage_id, self.kind, self.purchase, self.start.isoformat()))
        return hashlib.sha256(key.encode()).hexdigest()[:12]

    @property
    def accounted(self) -> datetime:
        """The moment whose day and period it counts in."""
        return self.booked or self.start


class Correction(Spec):
    """Why a line was found wrong, and what it costs instead or who pays instead. Kept beside the line, which stays."""

    id: str
    corrects: str
    """Id of the line."""
    reason: str
    by: str
    at: UtcTime
    """On the business clock."""
    lines: tuple[Line, ...] = Field(min_length=1)
    """What is added to the bill."""
