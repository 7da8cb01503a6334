"""What is measured, and the alternating rounds that measure it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .client import AnswerError
from .running import Field, Runner, Say

WARM_UP_S = 0.2


class Cell(NamedTuple):
    """One way of asking."""

    model: str
    transport: str
    rows: int
    connections: int

    def __str__(self) -> str:
        return f"{self.model}, {self.transport}, {self.rows} rows, {self.connections} connections"


class Round(NamedTuple):
    """What one round of one contender measured."""

    rate: float
    p50_us: float
    p99_us: float
    cpu_us: float
    """CPU time of the server's processes per request."""
    client_share: float
    """Of a core, that the client took: near 1 it was the limit, and the server could do more."""


@dataclass(frozen=True)
class Schedule:
    """How long and how often."""

    seconds: float
    rounds: int


Results = dict[Cell, dict[str, list[Round]]]
"""By contender's name. Lists of one cell have the same length: round i of everybody was taken in the same minute."""


def run(running: Field, cells: Sequence[Cell], schedule: Schedule, say: Say) -> Results:
    """Every cell, everybody in turn, the order shifted by one each round.

    Who fails in a round is out of that cell, and its `problems` say so.
    """
    return {cell: measured for cell in cells if (measured := _cell(running, cell, schedule, say))}


def _cell(running: Field, cell: Cell, schedule: Schedule, say: Say) -> dict[str, list[Round]]:
    taking_part = [
        runner
        for runner in running.runners
        if cell.transport in runner.transports() and cell.transport not in runner.problems
    ]
    requests = {id(runner): runner.requests(cell.transport, cell.rows) for runner in taking_part}
    taken: dict[str, list[Round]] = {runner.contender.name: [] for runner in taking_part}
    for number in range(schedule.rounds):
        shift = number % max(1, len(taking_part))
        for runner in (*taking_part[shift:], *taking_part[:shift]):
            name = runner.contender.name
            if name not in taken:
                continue
            try:
                taken[name].append(_round(runner, cell, requests[id(runner)], schedule.seconds, warm=number == 0))
            except (AnswerError, OSError) as error:
                del taken[name]
                runner.problems[str(cell)] = f"{cell}: {' '.join(str(error).split())[:300]}"
                say(f"{name}: {runner.problems[str(cell)]}")
    medians = (f"{name} {statistics.median(r.rate for r in rounds):.0f}/s" for name, rounds in taken.items())
    say(f"{cell}: {', '.join(medians)}")
    return taken


def _round(runner: Runner, cell: Cell, requests: Sequence[bytes], seconds: float, *, warm: bool) -> Round:
    if warm:
        runner.load(cell.transport, requests, cell.connections, WARM_UP_S)
    before = runner.server.cpu_s()
    sample = runner.load(cell.transport, requests, cell.connections, seconds)
    cpu_us = (runner.server.cpu_s() - before) / sample.requests * 1e6
    return Round(
        sample.rate, sample.percentile_us(50), sample.percentile_us(99), cpu_us, sample.client_s / sample.seconds
    )


def idle_share(running: Field, seconds: float = 1.0) -> dict[str, float]:
    """CPU time that everybody takes while nobody asks, as a share of one core."""
    before = {runner.contender.name: runner.server.cpu_s() for runner in running.runners}
    time.sleep(seconds)
    return {
        runner.contender.name: (runner.server.cpu_s() - before[runner.contender.name]) / seconds
        for runner in running.runners
    }


class Spread(NamedTuple):
    """Median, least and most."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def ratios(rounds: Sequence[Round], others: Sequence[Round]) -> Spread:
    """Rate against somebody else's, round by round: what slows the machine down slows both."""
    return spread([mine.rate / theirs.rate for mine, theirs in zip(rounds, others, strict=True)])


def cpu_ratios(rounds: Sequence[Round], others: Sequence[Round]) -> Spread:
    """How many times our CPU time per request somebody else takes, round by round.

    The steadier figure on a machine that others use too: waiting for a core isn't in it.
    """
    return spread([theirs.cpu_us / max(mine.cpu_us, 1e-9) for mine, theirs in zip(rounds, others, strict=True)])
