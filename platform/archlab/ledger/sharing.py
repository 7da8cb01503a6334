"""Showback: what each team pays when what the platform shares is split among them, by one rule or another.

A team is any that owns a line. Shares are whole nano-dollars, and add up to exactly what is shared. What nobody can be
asked to pay is a part of its own, and never split.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple

from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.base import NanoUsd
from archlab.spec.money import Line, LineKind, Resource


class Rule(StrEnum):
    """How shared cost is split."""

    EVEN = "even"
    """Every team pays the same."""
    USE = "use"
    """By the cost of what a team's models used; what they reserved and left idle doesn't count."""
    PEAK = "peak"
    """By the most cores that a team's models held at once: the platform has to be built for the peak."""


class Section(StrEnum):
    """The four parts of a bill."""

    SHOWBACK = "showback"
    """What teams used."""
    IDLE = "idle"
    """What teams reserved, or committed to, and did not use."""
    SHARED = "shared"
    """What the platform holds for all of them."""
    UNALLOCATED = "unallocated"
    """What nobody can be asked to pay."""


def section(line: Line) -> Section:
    """The part that a line belongs to."""
    if line.kind is LineKind.UNALLOCATED:
        return Section.UNALLOCATED
    if line.kind is LineKind.SHARED or (not line.model and line.team == PLATFORM_TEAM):
        return Section.SHARED
    return Section.IDLE if line.kind is LineKind.IDLE else Section.SHOWBACK


def sections(lines: Iterable[Line]) -> dict[Section, NanoUsd]:
    """The sum of each part; they add up to the bill."""
    found = dict.fromkeys(Section, 0)
    for line in lines:
        found[section(line)] += line.cost_nanousd
    return found


class Showback(NamedTuple):
    """One team's bill, in nano-dollars."""

    team: str
    used: NanoUsd
    idle: NanoUsd
    shares: Mapping[Rule, NanoUsd]
    """Of what is shared, by each rule."""

    def total(self, rule: Rule) -> NanoUsd:
        """Own lines and the share."""
        return self.used + self.idle + self.shares[rule]


class Split(NamedTuple):
    """The whole bill: `sum(t.total(rule) for t in teams) + unallocated` is its total, whatever the rule."""

    teams: tuple[Showback, ...]
    shared: NanoUsd
    """What was split."""
    unallocated: NanoUsd
    """What nobody can be asked to pay; and what is shared, while no team has a line. Never spread silently."""


def split(lines: Iterable[Line]) -> Split:
    """The bill by team, with what is shared split by every rule."""
    parts: dict[Section, list[Line]] = {part: [] for part in Section}
    for line in lines:
        parts[section(line)].append(line)
    owned = [*parts[Section.SHOWBACK], *parts[Section.IDLE]]
    shared, unallocated = _sum(parts[Section.SHARED]), _sum(parts[Section.UNALLOCATED])
    names = sorted({line.team for line in owned})
    if not names:
        return Split((), shared, shared + unallocated)
    used = [_cost(parts[Section.SHOWBACK], name) for name in names]
    # what was credited beyond what was used weighs nothing
    weights = {
        Rule.EVEN: [1] * len(names),
        Rule.USE: [max(0, cost) for cost in used],
        Rule.PEAK: _peaks(owned, names),
    }
    shares = {rule: divided(shared, weighed) for rule, weighed in weights.items()}
    teams = [
        Showback(
            name,
            used[number],
            _cost(parts[Section.IDLE], name),
            {rule: shares[rule][number] for rule in Rule},
        )
        for number, name in enumerate(names)
    ]
    return Split(tuple(teams), shared, unallocated)


def divided(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole numbers, by weight, whose sum it is; evenly where nothing has any weight."""
    if not any(weights):
        weights = [1] * len(weights)
    whole = sum(weights)
    bounds = [total * upper // whole for upper in accumulate(weights, initial=0)]
    return [upper - lower for lower, upper in pairwise(bounds)]


def _sum(lines: Iterable[Line]) -> NanoUsd:
    return sum(line.cost_nanousd for line in lines)


def _cost(lines: Iterable[Line], team: str) -> NanoUsd:
    return _sum(line for line in lines if line.team == team)


def _peaks(lines: Iterable[Line], names: Sequence[str]) -> list[int]:
    """The most milli-cores of online models that each team held in one interval, used or not."""
    held: dict[str, dict[tuple[int, int], Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    for line in lines:
        if line.resource is Resource.ONLINE_CPU and line.model:
            start, end = round(line.start.timestamp()), round(line.end.timestamp())
            held[line.team][(start, end)] += Fraction(line.quantity, max(1, end - start))
    return [round(max(held[name].values(), default=Fraction())) for name in names]
