"""One tick of the business clock, recorded in one transaction."""

from __future__ import annotations

import sqlite3

from archlab.control import bill, clock
from archlab.control.store import Store
from archlab.control.times import to_us
from archlab.errors import ConflictError
from archlab.spec.airline import Answer, Label, Tick
from archlab.spec.scenario import Scenario


def record(store: Store, tick: Tick, scenario: Scenario) -> bool:
    """Keep answers, labels, usage and lines, and move the clock to the tick's end; False when it was recorded before.

    Raises:
        ConflictError: the tick does not start at the clock's now, or does not move it forward.
    """
    with store.write() as db:
        known = db.execute("SELECT end_us FROM ticks WHERE start_us = ?", (to_us(tick.start),)).fetchone()
        if known and known["end_us"] == to_us(tick.end):
            return False
        now = clock.read(db).now
        if tick.start != now or tick.end <= tick.start:
            raise ConflictError(
                f"The clock stands at {now:%Y-%m-%d %H:%M}Z; a tick from {tick.start:%Y-%m-%d %H:%M}Z to"
                f" {tick.end:%Y-%m-%d %H:%M}Z does not follow it.",
                "Read the clock and go on from there.",
            )
        _insert(db, tick)
        bill.record(db, tick.usage, scenario)
        clock.move(db, tick.end)
    return True


def digests(db: sqlite3.Connection) -> list[str]:
    """Of all recorded ticks, oldest first."""
    return [row["digest"] for row in db.execute("SELECT digest FROM ticks ORDER BY start_us")]


def _insert(db: sqlite3.Connection, tick: Tick) -> None:
    db.execute("INSERT INTO ticks VALUES (?, ?, ?)", (to_us(tick.start), to_us(tick.end), tick.digest))
    db.executemany("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?,?,?,?,?,?)", [_answer(a) for a in tick.answers])
    db.executemany("INSERT OR REPLACE INTO labels VALUES (?,?,?,?,?,?)", [_label(known) for known in tick.labels])


def _answer(answer: Answer) -> tuple[object, ...]:
    features_us = to_us(answer.features_as_of) if answer.features_as_of else None
    return (
        *(answer.request_id, answer.model, answer.version, answer.subject, to_us(answer.asked), answer.prediction),
        *(features_us, answer.latency_ms, answer.timeliness.value, answer.status),
    )


def _label(label: Label) -> tuple[object, ...]:
    asked_us, known_us = to_us(label.asked), to_us(label.known)
    return (label.model, label.subject, asked_us, known_us, label.actual, label.baseline)
