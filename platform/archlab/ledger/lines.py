"""Raw usage × dated prices = lines. What was reserved and not used is a line of its own: idle.

A reservation that draws on a commitment is billed at the price for `reserved` as far as the commitment reaches, in the
order of team, model, mode and unit; what it can't cover is on demand. What nobody drew is a line of its own too. Where
a price changes within an interval, the quantity is divided by time and the line is split there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.base import NanoUsd
from archlab.spec.money import (
    Line,
    LineKind,
    Price,
    PriceBook,
    Purchase,
    Resource,
    Usage,
    UsageKind,
)

_MICROSECOND = timedelta(microseconds=1)


class Interval(NamedTuple):
    """What a reservation and the use out of it have in common."""

    start: datetime
    end: datetime
    team: str
    model: str
    mode: str
    unit: str
    resource: Resource


@dataclass(frozen=True, slots=True)
class Overflow:
    """Use beyond what was reserved: metered, visible, not priced (the reservation is what is paid for)."""

    interval: Interval
    quantity: int


class _Pool(NamedTuple):
    """Whose commitments are drawn on together: one by that name, of one interval and resource."""

    start: datetime
    end: datetime
    resource: Resource
    commitment: str

    @classmethod
    def of(cls, usage: Usage) -> _Pool:
        return cls(usage.start, usage.end, usage.resource, usage.commitment)


def interval(usage: Usage) -> Interval:
    """The interval, unit and resource that a record speaks of."""
    return Interval(usage.start, usage.end, usage.team, usage.model, usage.mode, usage.unit, usage.resource)


def cost(quantity: int, price: Price) -> NanoUsd:
    """Price × quantity, rounded half-even to nano-dollars; integers throughout."""
    whole, rest = divmod(quantity * price.nanousd, price.per)
    twice = 2 * rest
    return whole + (1 if twice > price.per or (twice == price.per and whole % 2) else 0)


def lines(usages: Iterable[Usage], prices: PriceBook) -> list[Line]:
    """Lines of a bill, in order of time, team, model, unit; unused commitments last.

    Records of one interval must come in one call: use is set against the reservation of the same interval, and the
    quantities of used and idle lines add up to exactly what was reserved.

    Raises:
        LookupError: the price book has no price for a resource at that time.
    """
    groups = sorted(_by_interval(usages).items())
    committed = _commitments(groups)
    left = {pool: sum(u.quantity for u in held) for pool, held in committed.items()}
    bill: list[Line] = []
    for _, group in groups:
        for usage in (u for u in group if u.kind is UsageKind.CONSUMED):
            kind = LineKind.USED if usage.model else LineKind.SHARED
            bill += _lines(usage, kind, usage.quantity, usage.purchase, prices)
        bill += _reserved(group, prices, left)
    for pool, held in committed.items():
        if left[pool]:
            first = _first(held)
            kind = LineKind.SHARED if first.team in (PLATFORM_TEAM, "") else LineKind.IDLE
            bill += _lines(first, kind, left[pool], Purchase.RESERVED, prices)
    return bill


def overflow(usages: Iterable[Usage]) -> list[Overflow]:
    """Use that exceeds its reservation (or has none), per interval."""
    found = []
    for key, group in sorted(_by_interval(usages).items()):
        rest = _sum(group, UsageKind.USED) - _sum(group, UsageKind.RESERVED)
        if rest > 0:
            found.append(Overflow(key, rest))
    return found


def _by_interval(usages: Iterable[Usage]) -> dict[Interval, list[Usage]]:
    groups: dict[Interval, dict[str, Usage]] = defaultdict(dict)
    for usage in usages:
        groups[interval(usage)].setdefault(usage.id, usage)
    return {key: list(group.values()) for key, group in groups.items()}


def _commitments(groups: Iterable[tuple[Interval, list[Usage]]]) -> dict[_Pool, list[Usage]]:
    found: dict[_Pool, list[Usage]] = defaultdict(list)
    for _, group in groups:
        for usage in group:
            if usage.kind is UsageKind.COMMITTED:
                found[_Pool.of(usage)].append(usage)
    return found


def _sum(group: list[Usage], kind: UsageKind) -> int:
    return sum(u.quantity for u in group if u.kind is kind)


def _first(group: Iterable[Usage]) -> Usage:
    return min(group, key=lambda u: u.id)


def _reserved(group: list[Usage], prices: PriceBook, left: dict[_Pool, int]) -> Iterator[Line]:
    """Used and idle, each as far as a commitment covers it and beyond; use is covered first."""
    holding = [u for u in group if u.kind is UsageKind.RESERVED]
    if not holding:
        return
    first = _first(holding)
    using = min((u for u in group if u.kind is UsageKind.USED), key=lambda u: u.id, default=first)
    reserved = _sum(group, UsageKind.RESERVED)
    used = min(reserved, _sum(group, UsageKind.USED))
    beyond, covered = first.purchase, 0
    if first.purchase is Purchase.RESERVED:
        pool, beyond = _Pool.of(first), Purchase.ON_DEMAND
        covered = min(reserved, left.get(pool, 0))
        left[pool] = left.get(pool, 0) - covered
    in_use = LineKind.USED if first.model else LineKind.SHARED
    for usage, kind, low, high in ((using, in_use, 0, used), (first, LineKind.IDLE, used, reserved)):
        edge = min(max(covered, low), high)
        if edge > low:
            yield from _lines(usage, kind, edge - low, Purchase.RESERVED, prices, first.commitment)
        if high > edge:
            yield from _lines(usage, kind, high - edge, beyond, prices)


def _lines(
    usage: Usage, kind: LineKind, quantity: int, purchase: Purchase, prices: PriceBook, commitment: str = ""
) -> Iterator[Line]:
    """A quantity as lines: one, or one for each price that was in effect meanwhile."""
    moments = [usage.start, *prices.changes(usage.resource, purchase, usage.start, usage.end), usage.end]
    length = (usage.end - usage.start) // _MICROSECOND
    for start, end in pairwise(moments):
        part = quantity
        if len(moments) > 2:
            low, high = ((moment - usage.start) // _MICROSECOND for moment in (start, end))
            part = quantity * high // length - quantity * low // length
        price = prices.at(usage.resource, start, purchase)
        yield Line(
            usage_id=usage.id,
            start=start,
            end=end,
            team=usage.team,
            model=usage.model,
            mode=usage.mode,
            kind=LineKind.UNALLOCATED if usage.reason else kind,
            resource=usage.resource,
            quantity=part,
            unit_price_nanousd=price.nanousd,
            unit_price_per=price.per,
            cost_nanousd=cost(part, price),
            basis=usage.basis,
            purchase=purchase,
            commitment=commitment or (usage.commitment if purchase is Purchase.RESERVED else ""),
            reason=usage.reason,
        )
