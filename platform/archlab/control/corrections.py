"""Corrections of the bill: new lines beside the old ones, with who booked them and why. Nothing is ever edited."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from pydantic import Field

from archlab.control.times import to_us
from archlab.errors import ConflictError, NotFoundError, UserError
from archlab.spec.base import NanoUsd, Slug, Spec
from archlab.spec.money import Correction, Line, LineKind
from archlab.spec.scenario import Scenario

TABLES = (
    "CREATE TABLE IF NOT EXISTS corrections (sequence INTEGER PRIMARY KEY, corrects TEXT NOT NULL,"
    " at_us INTEGER NOT NULL, correction TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS corrections_by_line ON corrections (corrects)",
    "CREATE TRIGGER IF NOT EXISTS corrections_stay BEFORE UPDATE ON corrections"
    " BEGIN SELECT RAISE(ABORT, 'corrections are never edited'); END",
    "CREATE TRIGGER IF NOT EXISTS corrections_remain BEFORE DELETE ON corrections"
    " BEGIN SELECT RAISE(ABORT, 'corrections are never deleted'); END",
)


class Wanted(Spec):
    """Body of `POST /corrections`: what a line should have cost, or who should have paid for it."""

    line: str
    amount_nanousd: NanoUsd | None = Field(default=None, ge=0)
    """None leaves what it costs now."""
    team: Slug | None = None
    """None leaves who pays now."""
    reason: str = Field(min_length=3, max_length=500)


def read(db: sqlite3.Connection, low_us: int = -(2**62), high_us: int = 2**62) -> list[Correction]:
    """Corrections booked with low <= at < high, oldest first."""
    rows = db.execute(
        "SELECT correction FROM corrections WHERE at_us >= ? AND at_us < ? ORDER BY sequence", (low_us, high_us)
    )
    return [Correction.model_validate_json(row["correction"]) for row in rows]


def book(
    db: sqlite3.Connection, lines: Iterable[Line], scenario: Scenario, wanted: Wanted, by: str, now: datetime
) -> Correction:
    """Add the lines that make the bill right: the difference, or a credit for one team and a charge for another.

    Args:
        db: inside a transaction.
        lines: of the bill as it stands, corrections among them, oldest first.
        scenario: whose teams may be charged.
        wanted: what is to be true afterwards.
        by: who books it.
        now: on the business clock.

    Raises:
        UserError: neither an amount nor a team is named.
        NotFoundError: there is no such line or team.
        ConflictError: the line is a correction, or stands so already.
    """
    if wanted.amount_nanousd is None and wanted.team is None:
        raise UserError("A correction names an amount or a team.", "Give --amount USD, --team TEAM, or both.")
    lines = list(lines)
    original = _line(lines, wanted.line)
    if wanted.team is not None and wanted.team not in {team.name for team in scenario.teams}:
        known = ", ".join(team.name for team in scenario.teams)
        raise NotFoundError(f"There is no team {wanted.team!r}.", f"Teams: {known}.")
    entries = [original, *(line for line in lines if line.corrects == original.id)]
    standing = _standing(entries)
    amount = sum(standing.values()) if wanted.amount_nanousd is None else wanted.amount_nanousd
    owner = _payer(entries) if wanted.team is None else (wanted.team, _kind(original))
    deltas = {who: (amount if who == owner else 0) - standing.get(who, 0) for who in {**standing, owner: 0}}
    if not any(deltas.values()):
        raise ConflictError(f"Line {original.id} stands so already.", "See: archlab cost --lines")
    row = db.execute("SELECT coalesce(max(sequence), 0) + 1 AS next FROM corrections").fetchone()
    identifier = f"correction/{row['next']}"
    made = Correction(
        id=identifier,
        corrects=original.id,
        reason=wanted.reason,
        by=by,
        at=now,
        lines=tuple(
            _entry(original, f"{identifier}/{number}", team, kind, delta, wanted.reason, by, now)
            for number, ((team, kind), delta) in enumerate(sorted(deltas.items()), 1)
            if delta
        ),
    )
    row_values = (row["next"], original.id, to_us(now), made.model_dump_json())
    db.execute("INSERT INTO corrections VALUES (?, ?, ?, ?)", row_values)
    return made


Payer = tuple[str, LineKind]


def _line(lines: list[Line], wanted: str) -> Line:
    found = next((line for line in lines if line.id == wanted), None)
    if found is None:
        raise NotFoundError(f"There is no line {wanted!r} on the bill.", "See: archlab cost --lines")
    if found.corrects:
        raise ConflictError(
            f"Line {wanted} is itself a correction of line {found.corrects}.", "Correct that line instead."
        )
    return found


def _payer(entries: list[Line]) -> Payer:
    """Whom a line was charged to last, also when all of it was credited since."""
    line = next((line for line in reversed(entries) if line.cost_nanousd > 0), entries[0])
    return line.team, line.kind


def _standing(entries: list[Line]) -> dict[Payer, NanoUsd]:
    """Who pays what of a line by now."""
    standing: dict[Payer, NanoUsd] = {}
    for line in entries:
        who = (line.team, line.kind)
        standing[who] = standing.get(who, 0) + line.cost_nanousd
    return standing


def _kind(original: Line) -> LineKind:
    """Of a line that a team takes over: what was shared or nobody's becomes what it used."""
    return LineKind.IDLE if original.kind is LineKind.IDLE else LineKind.USED


def _entry(
    original: Line, name: str, team: str, kind: LineKind, delta: NanoUsd, reason: str, by: str, now: datetime
) -> Line:
    return original.model_copy(
        update={
            "usage_id": name,
            "team": team,
            "kind": kind,
            "quantity": 0,
            "cost_nanousd": delta,
            "reason": reason,
            "corrects": original.id,
            "booked": now,
            "booked_by": by,
        }
    )
