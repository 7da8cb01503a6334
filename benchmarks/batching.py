"""Adaptive micro-batching on and off: two servers with the same models, asked in turns.

Run `python -m benchmarks.batching [--quick]`. A tree ensemble, a small network and a large one, single rows, each asked
over 1, 16 and 64 connections from a client on the same machine. Every round asks both servers, the one that begins
changes; ratios are taken within a round, and their median with the least and the most is printed.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.archlab_serving.conftest import Lab, Launcher, RunningServer
from tests.archlab_serving.models import network

from .http_load import Round, Target, http_request, one_round
from .serving.models import COLUMNS, train

CONNECTIONS = (1, 16, 64)
LARGE = (2048, 2048, 2048)
TITLES = {
    "trees": "gradient boosting, 100 trees of depth 4",
    "network": f"network {COLUMNS} → 64 → 64 → 1",
    "large": f"network {COLUMNS} → {' → '.join(map(str, LARGE))} → 1",
}
HEAD = "| model | connections | requests/s on | off | ratio | p50 µs on | off | ratio | p99 µs on | off | rows/batch |"


@dataclass
class Side:
    """One of the two servers, and what was measured on it."""

    server: RunningServer
    rounds: list[Round] = field(default_factory=list)
    rows: float = 0.0
    batches: float = 0.0

    def ask(self, model: str, connections: int, seconds: float) -> None:
        """One round, with the batches that it made."""
        tensor = {"name": "features", "datatype": "FP32", "shape": [1, COLUMNS], "data": [0.5] * COLUMNS}
        request = http_request(f"/v2/models/{model}/infer", {"inputs": [tensor]})
        assert self.server.socket is not None
        before = self._batches(model)
        self.rounds.append(
            one_round(Target(self.server.socket, self.server.process.pid, request), connections, seconds)
        )
        after = self._batches(model)
        self.rows += after[0] - before[0]
        self.batches += after[1] - before[1]

    def median(self, name: str) -> float:
        """Of the rounds' figure of this name."""
        return float(statistics.median(getattr(each, name) for each in self.rounds))

    def _batches(self, model: str) -> tuple[float, float]:
        labels = f'{{model="{model}",version="1"}}'
        metric = self.server.metric
        return metric(f"archlab_batch_rows_sum{labels}"), metric(f"archlab_batch_rows_count{labels}")


def publish(lab: Lab, folder: Path) -> None:
    """The three models."""
    files = {made.name: made.path.read_bytes() for made in train(folder, ("trees", "network"))} | {
        "large": network(COLUMNS, LARGE)
    }
    columns = [{"name": f"c{number}", "source": "request"} for number in range(COLUMNS)]
    lab.publish(*(lab.release(data, model=name, columns=columns, keys=[]) for name, data in files.items()))


def measure(
    on: RunningServer, off: RunningServer, model: str, connections: int, rounds: int, seconds: float
) -> tuple[Side, Side]:
    """Rounds of both, in turns; the first, short one warms up."""
    sides = Side(on), Side(off)
    for side in sides:
        side.ask(model, connections, 0.3)
        side.rounds.clear()
    for number in range(rounds):
        for side in sides if number % 2 else reversed(sides):
            side.ask(model, connections, seconds)
            print(f"{model} {connections} {'on ' if side is sides[0] else 'off'} {side.rounds[-1]}", file=sys.stderr)
    return sides


def ratio(on: Side, off: Side, name: str) -> str:
    """On to off, round by round: median [least, most]."""
    ratios = [getattr(a, name) / getattr(b, name) for a, b in zip(on.rounds, off.rounds, strict=True)]
    return f"{statistics.median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]"


def line(model: str, connections: int, on: Side, off: Side) -> str:
    """A row of the table."""
    rows = f"{on.rows / on.batches:.1f}" if on.batches else "not batched"
    cells = [TITLES[model], str(connections)]
    for name in ("rate", "p50_us"):
        cells += [f"{on.median(name):.0f}", f"{off.median(name):.0f}", ratio(on, off, name)]
    cells += [f"{on.median('p99_us'):.0f}", f"{off.median('p99_us'):.0f}", rows]
    return f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table; the rounds go to standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s instead of 7 of 2 s")
    options = parser.parse_args(arguments)
    rounds, seconds = (3, 1.0) if options.quick else (7, 2.0)
    lab = Lab(Path(tempfile.mkdtemp(prefix="srv-")))
    launcher = Launcher(lab)
    try:
        publish(lab, lab.root)
        on, off = (launcher.start(extra={"ARCHLAB_SERVING_BATCHING": switch}) for switch in ("on", "off"))
        print(f"{HEAD}\n|{'---|' * HEAD.count(' | ')}---|")
        for model in TITLES:
            for connections in CONNECTIONS:
                print(line(model, connections, *measure(on, off, model, connections, rounds, seconds)), flush=True)
    finally:
        for server in launcher.running:
            server.stop()
        shutil.rmtree(lab.root)


if __name__ == "__main__":
    main()
