"""Time and memory of a lab, in one run: `up` first and later, `--help`, a replayed day, RSS per process.

Prints a table; never judges. Run it on a quiet machine: `make bench`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ARCHLAB = str(Path(sys.executable).parent / "archlab")


class PeakMemory:
    """Highest sum of RSS over a command and every process below it, sampled 20 times a second; in bytes."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End the sampling; the peak."""
        self._done.set()
        self._thread.join()
        return self.peak

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            total = 0
            try:
                family = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return
            for process in family:
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def timed(*args: str) -> tuple[float, int, str]:
    """Seconds, peak bytes and output of one command."""
    started = time.perf_counter()
    with subprocess.Popen([ARCHLAB, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as running:
        memory = PeakMemory(running.pid)
        output, _ = running.communicate()
        seconds = time.perf_counter() - started
        peak = memory.stop()
    if running.returncode:
        raise SystemExit(f"archlab {' '.join(args)} failed with {running.returncode}")
    return seconds, peak, output


def designs(home: Path) -> list[tuple[str, str, str]]:
    """A design question: the first answer measures machine, reference and naive designs too, later ones their own."""
    design = home / "design.yaml"
    design.write_text("models: {flight-time: {mode: batch}, arrival-delay: {replicas: 1}}\n")
    rows = []
    for what in ("first (machine, reference, three naive)", "later", "again (measured before)"):
        seconds, peak, _ = timed("answer", "design-for-tomorrow", str(design) if what != "later" else _other(home))
        rows.append((f"design graded, {what}", f"{seconds:.1f} s, peak {peak / 1e9:.2f} GB", ""))
    return rows


def _other(home: Path) -> str:
    path = home / "other.yaml"
    path.write_text(
        "models: {flight-time: {mode: batch}, arrival-delay: {replicas: 1}, delay-recovery: {replicas: 1}}\n"
    )
    return str(path)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="archlab-bench-") as home:
        os.environ |= {"ARCHLAB_HOME": home, "ARCHLAB_LAB_NAME": "bench"}
        rows: list[tuple[str, str, str]] = []
        helps = [timed("--help")[0] for _ in range(5)]
        rows.append(("archlab --help, median of 5", f"{statistics.median(helps):.2f} s", "≤ 0.3 s"))
        try:
            first, peak, _ = timed("up", "ten-models", "--lab", "bench")
            rows.append(("up, first (packages installed)", f"{first:.1f} s, peak {peak / 1e9:.2f} GB", "≤ 90 s"))
            timed("down")
            later, peak, _ = timed("up")
            rows.append(("up, later", f"{later:.1f} s, peak {peak / 1e9:.2f} GB", "≤ 20 s"))
            replicas = json.loads(timed("status", "--json")[2])["replicas"]
            for day in (1, 2):
                seconds, peak, _ = timed("clock", "advance", "1d")
                rows.append((f"replayed business day {day}", f"{seconds:.1f} s, peak {peak / 1e9:.2f} GB", "≤ 20 s"))
            after = json.loads(timed("status", "--json")[2])["replicas"]
            rows.append(("reset", f"{timed('reset')[0]:.1f} s", "≤ 20 s"))
            rows += designs(Path(home))
            for before, now in zip(replicas, after, strict=True):
                name = f"{before['unit']}-{before['index']}"
                rows.append(
                    (
                        f"RSS {name}, idle / after two days",
                        f"{before['rss_bytes'] / 1e6:.0f} / {now['rss_bytes'] / 1e6:.0f} MB",
                        "",
                    )
                )
            total = sum(r["rss_bytes"] for r in after)
            rows.append(("RSS of all processes", f"{total / 1e6:.0f} MB", "≤ 1,200 MB"))
        finally:
            subprocess.run([ARCHLAB, "down", "--purge"], check=False, stdout=subprocess.DEVNULL)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}\n")
    for what, measured, wanted in rows:
        print(f"{what:45} {measured:28} {wanted}")


if __name__ == "__main__":
    main()
