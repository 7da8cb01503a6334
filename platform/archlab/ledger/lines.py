"""Raw usage × dated prices = lines. What was reserved and not used is a line of its own: idle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from archlab.spec.base import NanoUsd
from archlab.spec.money import Basis, Line, LineKind, Price, PriceBook, Resource, Usage, UsageKind


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


def interval(usage: Usage) -> Interval:
    """The interval, unit and resource that a record speaks of."""
    return Interval(usage.start, usage.end, usage.team, usage.model, usage.mode, usage.unit, usage.resource)


def cost(quantity: int, price: Price) -> NanoUsd:
    """Price × quantity, rounded half-even to nano-dollars; integers throughout."""
    whole, rest = divmod(quantity * price.nanousd, price.per)
    twice = 2 * rest
    return whole + (1 if twice > price.per or (twice == price.per and whole % 2) else 0)


def lines(usages: Iterable[Usage], prices: PriceBook) -> list[Line]:
    """Lines of a bill, in order of time, team, model, unit.

    Records of one interval must come in one call: use is set against the reservation of the same interval, and the
    quantities of used and idle lines add up to exactly what was reserved.

    Raises:
        LookupError: the price book has no price for a resource at that time.
    """
    bill: list[Line] = []
    for key, group in sorted(_by_interval(usages).items()):
        price = prices.at(key.resource, key.start)
        bill += [_consumed(u, price) for u in group if u.kind is UsageKind.CONSUMED]
        bill += _reserved(key, group, price)
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


def _sum(group: list[Usage], kind: UsageKind) -> int:
    return sum(u.quantity for u in group if u.kind is kind)


def _consumed(usage: Usage, price: Price) -> Line:
    kind = LineKind.USED if usage.model else LineKind.SHARED
    return _line(usage.id, interval(usage), kind, usage.quantity, price, usage.basis)


def _reserved(key: Interval, group: list[Usage], price: Price) -> list[Line]:
    holding = [u for u in group if u.kind is UsageKind.RESERVED]
    if not holding:
        return []
    reserved = _sum(group, UsageKind.RESERVED)
    used = min(reserved, _sum(group, UsageKind.USED))
    using = min((u for u in group if u.kind is UsageKind.USED), key=lambda u: u.id, default=holding[0])
    first = min(holding, key=lambda u: u.id)
    used_kind = LineKind.USED if key.model else LineKind.SHARED
    found = [_line(using.id, key, used_kind, used, price, using.basis)] if used else []
    if reserved > used:
        found.append(_line(first.id, key, LineKind.IDLE, reserved - used, price, first.basis))
    return found


def _line(usage_id: str, key: Interval, kind: LineKind, quantity: int, price: Price, basis: Basis) -> Line:
    return Line(
        usage_id=usage_id,
        start=key.start,
        end=key.end,
        team=key.team,
        model=key.model,
        mode=key.mode,
        kind=kind,
        resource=key.resource,
        quantity=quantity,
        unit_price_nanousd=price.nanousd,
        unit_price_per=price.per,
        cost_nanousd=cost(quantity, price),
        basis=basis,
    )
