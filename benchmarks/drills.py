"""What recovery reaches, over many runs: `python -m benchmarks.drills kills | table`.

`kills` kills the primary region again and again, at random moments, and asks each time whether every acknowledged write
is in the other one. `table` runs every drill in every posture several times; with `--target kube` on a cluster.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from archlab.drills import experiments, records
from archlab.drills.failover import failover, restore_standby
from archlab.drills.measure import IN_A_ROW, acknowledgements, measure
from archlab.drills.probe import acknowledged_present, read_ledger
from archlab.drills.run import run, runs_on_cluster
from archlab.drills.testbed import Testbed
from archlab.drills.waiting import wait
from archlab.lab.lock import exclusive
from archlab.lab.placing import place
from archlab.settings import LabFolder
from archlab.spec.drill import DrillReport, Event, Kind, Posture, Replication
from archlab.spec.lab import KubePlace

LATEST_S = 1.2
"""A kill comes this long after the pair is whole, at the latest."""
PREPARED = Posture(verify_backups=True, check_content=True)
"""Without either, the drills that ask for it are red: that is their lesson, and no figure."""
POSTURES = {
    "sync": PREPARED,
    "async": PREPARED.model_copy(update={"replication": Replication.ASYNCHRONOUS, "accept_data_loss": True}),
}


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill of the primary region."""

    region: str
    acknowledged: int
    """Writes so far."""
    lost: tuple[int, ...]
    """Acknowledged ones that the other region lacks."""
    back_s: float | None
    """From the kill to good answers, the promotion ordered at once."""


def kills(testbed: Testbed, ledger: Path, count: int, seed: int) -> Iterator[Kill]:
    """Kill the primary region at a random moment, promote the other one, compare, make the pair whole; again and again.

    Nobody has to notice anything: what is asked is what a promotion loses, not how soon it comes.
    """
    moments = random.Random(seed)
    for number in range(count):
        if number:
            restore_standby(testbed)
        time.sleep(moments.uniform(0.1, LATEST_S))
        lost = testbed.regions[testbed.primary]
        fault = testbed.note(f"{lost.name} is killed")
        testbed.shape(testbed.usual.model_copy(update={"cut": True}), drop=True)
        lost.kill()
        failover(testbed, accept_data_loss=True)
        wait(testbed.answers, "writes through the gateway", lambda: ())
        yield _compared(testbed, ledger, lost.name, fault)


def _compared(testbed: Testbed, ledger: Path, region: str, fault: Event) -> Kill:
    since = time.monotonic()

    def answered() -> bool:
        """Whether the ledger has come to what was written after the promotion."""
        return sum(a.ok and a.kind is Kind.WRITE and a.sent > since for a in read_ledger(ledger)) >= IN_A_ROW

    wait(answered, "the probe's writes after a kill", lambda: ())
    attempts = read_ledger(ledger)
    told = acknowledgements([a for a in attempts if a.kind is Kind.WRITE])
    present = acknowledged_present(testbed.base)
    near = [a for a in attempts if a.done > fault.at - 1]
    return Kill(region, len(told), tuple(sorted(told.keys() - present)), measure(near, [fault], [], None).rto_s)


@contextmanager
def whole_pair(posture: Posture) -> Iterator[tuple[Testbed, Path]]:
    """Two regions with the probe at work, and its ledger."""
    with exclusive(LabFolder(records.root()), "benchmark"):
        testbed = Testbed.lay_out(records.testbed_root(), posture)
        try:
            testbed.up(lambda *_: None)
            ledger = testbed.folder.root / records.LEDGER
            testbed.probe(ledger)
            wait(lambda: ledger.exists() and len(read_ledger(ledger)) > 50, "the probe", lambda: ())
            yield testbed, ledger
        finally:
            testbed.down()


def _kills(replication: str, count: int, seed: int) -> int:
    with whole_pair(POSTURES[replication].model_copy(update={"latency_ms": 5.0})) as (testbed, ledger):
        done: list[Kill] = []
        for kill in kills(testbed, ledger, count, seed):
            done.append(kill)
            back = "never" if kill.back_s is None else f"{kill.back_s:.2f} s"
            said = f"{len(kill.lost)} of {kill.acknowledged:,} acknowledged writes lost, answers after {back}"
            print(f"{len(done):3} {kill.region}: {said}", flush=True)
    backs = [k.back_s for k in done if k.back_s is not None]
    lost = len({number for k in done for number in k.lost})
    print(
        f"{replication}: {len(done)} kills, {done[-1].acknowledged:,} acknowledged writes, {lost} lost;"
        f" good answers {median(backs):.2f} s after the kill ({min(backs):.2f} to {max(backs):.2f})"
    )
    return int(replication == Replication.SYNCHRONOUS.value and lost > 0)


def _table(runs: int, only: list[str], postures: Sequence[str], there: KubePlace | None) -> int:
    columns = ("drill", "replication", "runs", "detection", "RTO", "RPO", "writes lost", "failed requests", "failback")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    possible = [name for name in experiments.names() if not there or runs_on_cluster(experiments.load(name))]
    for name in only or possible:
        for replication in postures:
            found = [run(name, POSTURES[replication], lambda *_: None, place=there)[1] for _ in range(runs)]
            print(_row(name, replication, found), flush=True)
    return 0


def _row(name: str, replication: str, found: list[DrillReport]) -> str:
    seen = [r.measured for r in found if r.measured]
    cells = [
        _range([m.detection_s for m in seen]),
        _range([m.rto_s for m in seen]),
        _range([m.rpo_s for m in seen]),
        _range([None if m.lost is None else len(m.lost) for m in seen], ""),
        _range([sum(m.errors.values()) for m in seen], ""),
        _range([r.failback_s for r in found]),
    ]
    ended = ", ".join(f"{n} {v}" for v in ("green", "red", "void") if (n := sum(r.verdict == v for r in found)))
    return f"| {name} | {replication} | {ended} | {' | '.join(cells)} |"


def _range(values: list[float] | list[int] | list[float | None] | list[int | None], unit: str = " s") -> str:
    """Median and range."""
    known = [v for v in values if v is not None]
    if not known:
        return "–"
    digits = ".2f" if unit else ".0f"
    return f"{median(known):{digits}}{unit} ({min(known):{digits}} to {max(known):{digits}})"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drills")
    parser.add_argument("what", choices=("kills", "table"), nargs="?", default="table")
    parser.add_argument("--count", type=int, default=50, help="kills")
    parser.add_argument("--replication", choices=sorted(POSTURES), help="kills: sync by default; table: both")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument("--only", choices=experiments.names(), action="append", default=[], help="this drill")
    parser.add_argument("--target", choices=("local", "kube"), default="local", help="where the table's regions are")
    parser.add_argument("--namespace", default="archlab-drill", help="kube: of the gateway")
    parser.add_argument("--runs", type=int, default=5, help="of each drill in each posture")
    asked = parser.parse_args()
    if asked.what == "kills":
        return _kills(asked.replication or "sync", asked.count, asked.seed)
    postures = [asked.replication] if asked.replication else list(POSTURES)
    return _table(asked.runs, asked.only, postures, place(None, asked.namespace, asked.target))


if __name__ == "__main__":
    sys.exit(main())
