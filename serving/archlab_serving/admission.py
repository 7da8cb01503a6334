"""Who is let in: the server's places, and how long a model's queue takes to go down."""

from __future__ import annotations

import math

from .costs import Cost

_WEIGHT = 0.2
"""Of the newest measurement in the running mean."""
_MOST = 10.0
"""A batch that took longer than so many times what was expected counts as that."""


class Places:
    """How many requests the server is answering, of how many it takes."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    @property
    def full(self) -> bool:
        """Whether nobody can be let in."""
        return self.taken >= self.limit

    def let_wait(self, waiting: int) -> bool:
        """Whether one more may wait for a model for which `waiting` requests do.

        A queue may be as long as there are free places: one slow model gets half of the server, two a third each, and
        there are always places left for the others.
        """
        return not waiting or waiting < self.limit - self.taken


class Drain:
    """How fast a model's queue goes down: its measured cost times what batches took lately in relation to it.

    Args:
        cost: measured while loading; where it could not be, the model's own runs tell.
        batch_rows: most rows in a run; 0 when every request is a run of its own.
    """

    __slots__ = ("_batch_rows", "_cost", "_learned", "_pace")

    def __init__(self, cost: Cost, batch_rows: int) -> None:
        self._cost = cost
        self._batch_rows = batch_rows
        self._learned = not cost.us(1)
        self._pace = 1.0

    def observe(self, rows: int, seconds: float) -> None:
        """One run, from the moment that it asked for a thread to its end."""
        rows = max(rows, 1)
        if self._learned:
            row_us = seconds * 1e6 / rows
            before = self._cost.row_us or row_us
            self._cost = self._cost._replace(row_us=before + _WEIGHT * (row_us - before))
        else:
            ratio = min(seconds * 1e6 / self._cost.us(rows), _MOST)
            self._pace += _WEIGHT * (ratio - self._pace)

    def seconds(self, requests: int, rows: int) -> float:
        """The time that so many requests take, of so many rows together; 0 while nothing is known."""
        runs = math.ceil(rows / self._batch_rows) if self._batch_rows else requests
        return self._cost.us(rows, runs) * self._pace / 1e6

    def least_seconds(self, rows: int) -> float:
        """The time of a request on an idle machine."""
        return 0.0 if self._learned else self._cost.us(rows) / 1e6


def retry_after_s(seconds: float) -> int:
    """Whole seconds, as the header needs them, and at least one."""
    return max(1, math.ceil(seconds))
