"""What a run found: Markdown for people, JSON for programs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .goals import Comparison, summary, table
from .machine import Cores, Machine
from .processes import Memory
from .rounds import Cell, Results, Round, Schedule, Spread, ratios, spread

_TRANSPORTS = {"json": "JSON", "binary": "binary tensor data", "grpc": "gRPC"}


@dataclass(frozen=True)
class Process:
    """What a contender's processes take."""

    start_s: Sequence[float]
    idle: Memory
    """After start-up and one answer."""
    worked: Memory
    """After all rounds."""
    idle_cpu: float
    """Share of a core while nobody asks."""


@dataclass
class Report:
    """Everything that is printed."""

    machine: Machine
    cores: Cores
    schedule: Schedule
    base: str
    """The contender that ratios refer to."""
    title: str
    models: Mapping[str, str]
    configurations: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]
    absent: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    results: Results = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)
    comparisons: Sequence[Comparison] = ()
    load_after: float = 0.0

    def markdown(self) -> str:
        """The tables."""
        parts = [*self._head(), *self._goals()]
        for model, transport, rows in dict.fromkeys((c.model, c.transport, c.rows) for c in self.results):
            parts += self._table(model, transport, rows)
        return "\n".join((*parts, *self._processes(), *self._configurations(), *self._missing())) + "\n"

    def document(self) -> dict[str, Any]:
        """The same and every round, as JSON takes it."""
        return {
            "machine": self.machine.document(),
            "load_after": self.load_after,
            "cores": {"client": sorted(self.cores.client), "server": sorted(self.cores.server)},
            "round_seconds": self.schedule.seconds,
            "rounds": self.schedule.rounds,
            "models": dict(self.models),
            "configurations": dict(self.configurations),
            "versions": {name: dict(found) for name, found in self.versions.items()},
            "absent": self.absent,
            "problems": self.problems,
            "results": [
                {**cell._asdict(), "contender": name, "rounds": [r._asdict() for r in rounds]}
                for cell, taken in self.results.items()
                for name, rounds in taken.items()
            ],
            "processes": {
                name: {
                    "start_s": list(process.start_s),
                    "idle_cpu": process.idle_cpu,
                    "idle": vars(process.idle),
                    "worked": vars(process.worked),
                }
                for name, process in self.processes.items()
            },
            "comparisons": [comparison.document() for comparison in self.comparisons],
        }

    def _head(self) -> list[str]:
        return [
            f"# {self.title}",
            "",
            f"{self.machine}; {self.load_after:.2f} after it. Cores: {self.cores}. Closed loop over TCP on the "
            f"loopback interface; {self.schedule.rounds} alternating rounds of {self.schedule.seconds:g} s. Figures "
            "are the median over rounds, with [least, most]. CPU is that of all the server's processes per request. × "
            f"is the rate against {self.base}'s in the same round. Client is its share of a core: near 100 the client "
            "is the limit, not the server. On a machine with other work go by CPU. All answers were compared with the "
            "expected ones (1e-5) before the first round.",
            "",
            *(f"- model `{name}`: {title}" for name, title in self.models.items()),
        ]

    def _goals(self) -> list[str]:
        if not self.comparisons:
            return []
        return ["", *(f"- {line}" for line in summary(self.comparisons)), "", *table(self.base, self.comparisons)]

    def _table(self, model: str, transport: str, rows: int) -> list[str]:
        kind = "single rows" if rows == 1 else f"{rows}-row tensors"
        lines = ["", f"## {_TRANSPORTS[transport]}, {kind}, model `{model}`", "", _HEAD, _RULE]
        for cell, taken in self.results.items():
            if (cell.model, cell.transport, cell.rows) == (model, transport, rows):
                lines += [self._line(cell, name, rounds, taken) for name, rounds in taken.items()]
        return lines

    def _line(self, cell: Cell, name: str, rounds: Sequence[Round], taken: Mapping[str, Sequence[Round]]) -> str:
        rate, cpu = spread([r.rate for r in rounds]), spread([r.cpu_us for r in rounds])
        base = taken.get(self.base)
        ratio = ratios(rounds, base) if base is not None else None
        times = f"{ratio.median:.3f} [{ratio.least:.3f}, {ratio.most:.3f}]" if ratio is not None else "-"
        p50, p99, client = (statistics.median(f) for f in zip(*((r[1], r[2], r[4]) for r in rounds), strict=True))
        return (
            f"| {cell.connections} | {name} | {_whole(rate)} | {times} | {p50:,.0f} | {p99:,.0f} "
            f"| {_whole(cpu)} | {100 * client:.0f} |"
        )

    def _processes(self) -> list[str]:
        if not self.processes:
            return []
        head = "| server | start to answer, s | processes | RSS MB | PSS MB | RSS after the rounds | PSS | idle CPU % |"
        lines = ["", "## Start-up and memory", "", head, "|---|---|---|---|---|---|---|---|"]
        for name, process in self.processes.items():
            start = spread(process.start_s)
            lines.append(
                f"| {name} | {start.median:.2f} [{start.least:.2f}, {start.most:.2f}] | {process.idle.processes} "
                f"| {_mb(process.idle.rss)} | {_mb(process.idle.pss)} | {_mb(process.worked.rss)} "
                f"| {_mb(process.worked.pss)} | {100 * process.idle_cpu:.1f} |"
            )
        return lines

    def _configurations(self) -> list[str]:
        lines = ["", "## Configurations and versions", ""]
        lines += [f"- {name}: {words}" for name, words in self.configurations.items()]
        lines += [
            f"- packages of `{name}`: {', '.join(f'{package} {version}' for package, version in found.items())}"
            for name, found in self.versions.items()
        ]
        return lines

    def _missing(self) -> list[str]:
        entries = [*(f"- {name}: {why}" for name, why in self.absent.items()), *(f"- {what}" for what in self.problems)]
        return ["", "## Not measured", "", *entries] if entries else []


_HEAD = "| connections | server | requests/s | × | p50 µs | p99 µs | CPU µs | client % |"
_RULE = "|---|---|---|---|---|---|---|---|"


def _whole(found: Spread) -> str:
    return f"{found.median:,.0f} [{found.least:,.0f}, {found.most:,.0f}]"


def _mb(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.0f}"
