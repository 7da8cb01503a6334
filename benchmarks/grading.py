"""Grading from evidence, with the lab gone: one question, the evidence's size, a regrade of a hundred attempts.

Run `python benchmarks/grading.py [--scenario NAME] [--rounds N]`. Evidence is what the scenario recorded of live labs
(`archlab scenarios check NAME --record`). Prints a table, never judges. Wall clock and the process's own CPU time are
told apart: on a shared machine the latter is the steadier figure.
"""

from __future__ import annotations

import argparse
import gzip
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from archlab.grading.canonical import canonical
from archlab.grading.content import Pack
from archlab.grading.judging import judge
from archlab.grading.practice import Practice, open_book
from archlab.grading.proof import checking
from archlab.grading.proof.checking import Content
from archlab.grading.proof.recording import Take, load
from archlab.grading.store import EvidenceStore
from archlab.plan.loading import scenario_folder
from archlab.spec.gradebook import Attempt
from archlab.spec.grading import Evidence, Question, QuestionKind

ATTEMPTS = 100
GOAL_S = 0.2
COLD = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from archlab.grading.content import load
from archlab.grading.judging import judge
from archlab.grading.store import EvidenceStore
scenario, store, sha256, name = sys.argv[1:]
pack, evidence = load(Path(scenario)), EvidenceStore(Path(store)).get(sha256)
judge(pack, pack.question(name), evidence, None)
print(time.perf_counter() - started)
"""


class Spent(NamedTuple):
    """One piece of work, in seconds."""

    wall: float
    cpu: float


def spent(work: Callable[[], object]) -> Spent:
    """Do it once."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def milliseconds(found: Sequence[float]) -> str:
    """Median and the slowest."""
    return f"{1000 * statistics.median(found):,.1f} (slowest {1000 * max(found):,.1f})"


class Bench:
    """Recorded evidence of one scenario in a temporary store, and what is timed over it."""

    def __init__(self, made: Content, take: Take, folder: Path) -> None:
        self.pack: Pack = made.pack
        self.take = take
        self.store = EvidenceStore(folder / "evidence")
        self.folder = folder
        self.questions = [q for q in made.pack.questions if q.kind is not QuestionKind.DESIGN]

    def evidence(self, question: Question) -> Evidence:
        """What judges a question."""
        return self.take.judged_by(question)

    def answer(self, question: Question) -> object:
        """Any answer of the right form: what it takes to judge does not hang on it."""
        kinds: dict[QuestionKind, object] = {
            QuestionKind.CHOICE: question.options[0].key if question.options else "",
            QuestionKind.MULTI: [question.options[0].key] if question.options else [],
            QuestionKind.ORDER: [o.key for o in question.options],
            QuestionKind.NUMERIC: 1.0,
            QuestionKind.PREDICT: [question.options[0].key] if question.options else 1.0,
            QuestionKind.REGO: "package archlab\n",
        }
        return kinds.get(question.kind)

    def one(self, question: Question) -> Spent:
        """Read the evidence from its file and judge one answer by it."""
        sha256 = self.store.put(self.evidence(question))
        return spent(lambda: judge(self.pack, question, self.store.get(sha256), self.answer(question)))

    def cold(self, question: Question) -> float:
        """The same in a process of its own, imports and content included; seconds inside it."""
        sha256 = self.store.put(self.evidence(question))
        args = [
            sys.executable,
            "-c",
            COLD,
            str(self.pack.folder),
            str(self.store.path(sha256).parent),
            sha256,
            question.id,
        ]
        return float(subprocess.run(args, capture_output=True, text=True, check=True).stdout)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the largest evidence as JSON, and as it is kept."""
        data = max((canonical(self.evidence(q).model_dump(mode="json")) for q in self.questions), key=len)
        return len(data), len(gzip.compress(data, mtime=0))

    def regrade(self) -> tuple[Spent, int]:
        """Judge a gradebook of a hundred attempts again; also how many it was."""
        book = open_book(self.folder)
        digests = {q.id: self.store.put(self.evidence(q)) for q in self.questions}
        graded = [q for q in self.questions if q.kind is not QuestionKind.REGO]
        for number in range(ATTEMPTS):
            question = graded[number % len(graded)]
            judged = judge(self.pack, question, self.evidence(question), self.answer(question))
            book.append(
                Attempt,
                question=question.id,
                answer=self.answer(question),
                verdict=judged.verdict,
                points=0.0,
                message=judged.message,
                evidence=digests[question.id],
                variant=self.take.prepared.variant,
                grader_version=self.pack.version,
            )
        practice = Practice(self.pack, self.folder, lambda: self.take.prepared)
        return spent(lambda: practice.regrade()), len(practice.regrade())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="ten-models")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    made = checking.read(scenario_folder(given.scenario))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(made, load(made.pack.folder)[0], Path(folder))
        each = {q.id: [bench.one(q) for _ in range(given.rounds)] for q in bench.questions}
        typical = {name: statistics.median(s.wall for s in found) for name, found in each.items()}
        slowest = max(typical, key=lambda name: typical[name])
        cold = [bench.cold(made.pack.question(slowest)) for _ in range(given.rounds)]
        plain, packed = bench.sizes()
        regraded, number = bench.regrade()
        every = [s for found in each.values() for s in found]
        print(f"{os.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}; {given.scenario}, {len(each)} questions\n")
        print("| what | measured | goal |\n|---|---:|---:|")
        print(
            f"| one question from stored evidence, ms | {milliseconds([s.wall for s in every])} | {1000 * GOAL_S:.0f} |"
        )
        print(f"| the same, processor time, ms | {milliseconds([s.cpu for s in every])} | |")
        print(f"| the slowest one, {slowest}, ms | {milliseconds([s.wall for s in each[slowest]])} | |")
        print(f"| the same in a new process, imports included, ms | {milliseconds(cold)} | |")
        print(f"| evidence as JSON, KB | {plain / 1000:,.0f} | |")
        print(f"| evidence as it is kept, KB | {packed / 1000:,.1f} | |")
        print(f"| regrade of {number} attempts, s | {regraded.wall:.2f} (CPU {regraded.cpu:.2f}) | |")


if __name__ == "__main__":
    main()
