"""Moving the airline's time on."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from archlab.errors import UserError
from archlab.lab.lab import Lab
from archlab.lab.work import clock, run_job
from archlab.spec.job import Job
from archlab.spec.plan import Progress

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_span(text: str) -> timedelta:
    """`30m`, `6h`, `1d`, `1w`.

    Raises:
        UserError: it is none of these.
    """
    found = re.fullmatch(r"(\d{1,4})([mhdw])", text.strip())
    if not found or int(found[1]) == 0:
        raise UserError(f"{text!r} is not a span of time.", "Write 30m, 6h, 1d or 1w.")
    return int(found[1]) * _UNITS[found[2]]


def advance(lab: Lab, span: timedelta, progress: Progress) -> dict[str, Any]:
    """Replay up to now + span; returns what the replay reported.

    Raises:
        UserError: the span is not a whole number of ticks.
        ConflictError: another replay is on.
    """
    # imports DuckDB, which reading a span need not wait for
    from archlab.pipelines.data import data_folder

    tick = lab.declared.tick
    if span % tick:
        raise UserError(f"The clock moves in ticks of {tick}; {span} is not a multiple.", "Try 30m, 6h or 1d.")
    until = clock(lab) + span
    data = data_folder(lab.folder.cache, lab.declared.business)
    job = Job(name="replay", module="archlab.world.replay", args=("--until", until.isoformat(), "--data", str(data)))
    return run_job(lab, job, progress).result
