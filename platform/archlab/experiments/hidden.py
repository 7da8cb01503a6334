"""Which days a design is judged on: drawn by question and seed, none that the learner has lived through. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from archlab.errors import LabStateError

DAY = timedelta(days=1)
FIRST, LAST = 3, 20
"""Days after the scenario's start among which is drawn."""


def hidden_days(question: str, seed: int, starts: datetime, now: datetime, days: int) -> datetime:
    """Start of the first of `days` successive hidden days; the same until the learner's clock comes close to it.

    Raises:
        LabStateError: the clock has passed all that could be drawn.
    """
    ahead = [n for n in range(FIRST, LAST - days + 2) if starts + n * DAY >= now]
    if not ahead:
        raise LabStateError(
            f"The clock stands at {now:%Y-%m-%d}: no day is left that you have not seen.", "Run: archlab reset"
        )
    return starts + min(ahead, key=lambda n: _draw(question, seed, n)) * DAY


def hidden_team(question: str, seed: int, teams: Sequence[str]) -> str:
    """One of the teams: the same for a question and a seed."""
    return min(teams, key=lambda team: hashlib.sha256(f"{question}/{seed}/{team}".encode()).digest())


def _draw(question: str, seed: int, number: int) -> bytes:
    return hashlib.sha256(f"{question}/{seed}/{number}".encode()).digest()
