"""What the server should reach on single rows in JSON, and whether it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rounds import Results, Round, Spread, cpu_ratios, ratios

PEERS_GOAL, BARE_GOAL = 8.0, 0.85
GOAL_CONNECTIONS = 16
BEST_PEER = "the best peer of each round"


@dataclass(frozen=True)
class Comparison:
    """Our rate against somebody's at one number of connections, and what it should at least be."""

    against: str
    connections: int
    rate: Spread
    cpu: Spread
    """Their CPU time per request against ours: above 1 they take more."""
    least: float | None = None

    @property
    def reached(self) -> bool | None:
        """By the median rate; None without a goal."""
        return None if self.least is None else self.rate.median >= self.least

    def document(self) -> dict[str, Any]:
        """As JSON takes it."""
        spreads = {"rate": self.rate._asdict(), "cpu": self.cpu._asdict()}
        goal = {"goal": self.least, "reached": self.reached}
        return {"against": self.against, "connections": self.connections, **spreads, **goal}


def compare(
    results: Results, model: str, ours: str, yardsticks: Sequence[str], peers: Sequence[str]
) -> list[Comparison]:
    """Single rows in JSON at each number of connections: everybody else, first whoever of `peers` was the fastest."""
    found: list[Comparison] = []
    for cell, taken in results.items():
        if (cell.model, cell.transport, cell.rows) != (model, "json", 1) or ours not in taken:
            continue
        others: dict[str, Sequence[Round]] = {name: taken[name] for name in taken if name != ours}
        present = [taken[peer] for peer in peers if peer in taken]
        if present:
            others = {BEST_PEER: _best(present), **others}
        for name, theirs in others.items():
            goal = PEERS_GOAL if name == BEST_PEER else BARE_GOAL if name in yardsticks else None
            rate, cpu = ratios(taken[ours], theirs), cpu_ratios(taken[ours], theirs)
            found.append(Comparison(name, cell.connections, rate, cpu, goal))
    return found


def _best(present: Sequence[Sequence[Round]]) -> list[Round]:
    return [max(rounds, key=lambda r: r.rate) for rounds in zip(*present, strict=True)]


def summary(comparisons: Sequence[Comparison]) -> list[str]:
    """A line for each goal at `GOAL_CONNECTIONS` connections."""
    return [_sentence(c) for c in comparisons if c.least is not None and c.connections == GOAL_CONNECTIONS]


def _sentence(comparison: Comparison) -> str:
    word = "reached" if comparison.reached else "MISSED"
    return (
        f"{word}: {shown(comparison.rate)} times {comparison.against} (goal: at least {comparison.least:g}; single "
        f"rows in JSON, {comparison.connections} connections); by CPU time per request {shown(comparison.cpu)}"
    )


def table(base: str, comparisons: Sequence[Comparison]) -> list[str]:
    """Markdown: a line for everybody, a column per number of connections, and one of CPU time at the goal's."""
    if not comparisons:
        return []
    columns = sorted({comparison.connections for comparison in comparisons})
    counts = "".join(f" {n} connection{'s' * (n > 1)} |" for n in columns)
    head = f"| {base}'s rate on single rows in JSON, against | goal |{counts} CPU, {GOAL_CONNECTIONS} connections |"
    lines = [head, "|---" * (len(columns) + 3) + "|"]
    for against in dict.fromkeys(comparison.against for comparison in comparisons):
        those = {c.connections: c for c in comparisons if c.against == against}
        least = next(iter(those.values())).least
        cells = [_cell(those[n]) if n in those else "-" for n in columns]
        cells.append(shown(those[GOAL_CONNECTIONS].cpu) if GOAL_CONNECTIONS in those else "-")
        lines.append(f"| {against} | {'' if least is None else f'≥ {least:g}'} | {' | '.join(cells)} |")
    return lines


def _cell(comparison: Comparison) -> str:
    word = {None: "", True: " reached", False: " **missed**"}[comparison.reached]
    return f"{shown(comparison.rate)}{word}"


def shown(found: Spread) -> str:
    """Median, and least and most."""
    return f"{found.median:.2f} [{found.least:.2f}, {found.most:.2f}]"
