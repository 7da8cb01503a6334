"""Runs a job: a Python module in a process of its own, heard line by line. See docs/interfaces.md, Jobs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from archlab import errors
from archlab.errors import ArchlabError, TargetError, UserError
from archlab.jobs import InterruptedJobError
from archlab.settings import LabFolder
from archlab.spec.job import Job, JobResult
from archlab.targets.base import OnEvent
from archlab.targets.logs import tail
from archlab.targets.processes import JOB_PREFIX, environment

TAIL_LINES = 20
SAID = {"step", "tick", "finished", "result", "error"}
"""Keys of which each report has one."""


@dataclass(slots=True)
class Heard:
    """What a job said so far."""

    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    peak_rss_bytes: int = 0
    interrupted: bool = field(default=False)


Running = set[subprocess.Popen[str]]
"""Jobs that run now; whoever holds it can interrupt them from another thread."""


def run(folder: LabFolder, job: Job, on_event: OnEvent, running: Running | None = None) -> JobResult:
    """Run a job to its end.

    Everything it writes beyond its reports goes to `log/job-<name>.log`. An interrupt (^C) is passed on to it once and
    waited for; a second one ends it. While it runs, it is in `running`.

    Raises:
        InterruptedJobError: it was asked to stop.
        ArchlabError: the error that it reported, of the kind that it named.
        TargetError: it ended without a result; carries its last log lines.
    """
    folder.log.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = folder.log / f"{JOB_PREFIX}{job.name}.log"
    heard = Heard()
    started = time.monotonic()
    running = set() if running is None else running
    with log.open("w") as output, _start(folder, job, output) as process:
        running.add(process)
        try:
            _attend(process, heard, output, on_event)
        finally:
            running.discard(process)
    if heard.result is not None and process.returncode == 0:
        return JobResult(result=heard.result, seconds=time.monotonic() - started, peak_rss_bytes=heard.peak_rss_bytes)
    raise failure(job, heard, process.returncode, log)


def interrupt(running: Running) -> None:
    """Ask jobs to stop at their next safe point, as ^C does."""
    for process in tuple(running):
        _signal(process, signal.SIGINT)


def _start(folder: LabFolder, job: Job, output: IO[str]) -> subprocess.Popen[str]:
    env = {**environment(os.environ, folder.root, JOB_PREFIX + job.name), **job.env}
    return subprocess.Popen(
        [sys.executable, "-m", job.module, *job.args],
        cwd=folder.root,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=output,
        text=True,
        errors="replace",
        start_new_session=True,
        umask=0o077,
    )


def _attend(process: subprocess.Popen[str], heard: Heard, output: IO[str], on_event: OnEvent) -> None:
    """Listen until the job has ended."""
    try:
        while True:
            try:
                for line in _lines(process):
                    hear(line, heard, output, on_event)
                process.wait()
            except KeyboardInterrupt:
                _signal(process, signal.SIGKILL if heard.interrupted else signal.SIGINT)
                heard.interrupted = True
            else:
                return
    except BaseException:
        _signal(process, signal.SIGKILL)
        process.wait()
        raise


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    if process.stdout is None:
        return
    while line := process.stdout.readline():
        yield line


def hear(line: str, heard: Heard, output: IO[str], on_event: OnEvent) -> None:
    """Take one line of a job's output: a report is passed on, anything else goes to its log."""
    record = _record(line)
    if record is None:
        output.write(line)
        output.flush()
    elif "result" in record:
        heard.result = dict(record["result"] or {})
        heard.peak_rss_bytes = int(record.get("peak_rss_bytes", 0))
    elif "error" in record:
        heard.error = record
    else:
        on_event(record)


def _record(line: str) -> dict[str, Any] | None:
    """A report, or None for a line that is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and SAID & value.keys() else None


def _signal(process: subprocess.Popen[str], number: signal.Signals) -> None:
    if process.returncode is None:
        process.send_signal(number)


def failure(job: Job, heard: Heard, code: int, log: Path) -> ArchlabError:
    """The error for a job that ended without a result, of the kind that it named."""
    reported = str((heard.error or {}).get("kind", ""))
    if heard.interrupted or reported == InterruptedJobError.__name__ or code == -signal.SIGINT:
        return InterruptedJobError(f"{job.name} was stopped.", "Run the command again to continue.")
    last = tail(log, TAIL_LINES)
    unit = JOB_PREFIX + job.name
    if heard.error is None:
        end = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return TargetError(
            f"Job {job.name} {end} and no result.", f"See: archlab logs {unit}", unit=unit, log_tail=last
        )
    message, remedy = str(heard.error["error"]), str(heard.error.get("remedy") or f"See: archlab logs {unit}")
    kind: object = getattr(errors, reported, None)
    if isinstance(kind, type) and issubclass(kind, UserError):
        found: UserError = kind(message, remedy)
        return found
    return TargetError(message, remedy, unit=unit, log_tail=last)
