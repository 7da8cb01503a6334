"""What a comparison reads of the kept predictions: per version, and in pairs of a request and its copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from archlab.quality import Floats
from archlab.resampling import Sample

Traffic = Literal["live", "shadow"]

_SERIES = "(SELECT id FROM series WHERE (model, version, shadow) = (:model, :version, :shadow))"
_CHOSEN = f"FROM predictions WHERE series = {_SERIES} AND t_us >= :since"

_FIRST = f"SELECT min(t_us) {_CHOSEN}"
_COUNTS = f"""
SELECT coalesce(sum(row = 0), 0) AS requests, coalesce(sum(row = 0 AND status <> 200), 0) AS errors,
  count(DISTINCT subject) AS subjects {_CHOSEN}
"""
_LATENCIES = f"SELECT us {_CHOSEN} AND row = 0 AND status = 200"

_NEWEST = """
SELECT version FROM series JOIN predictions ON series = series.id
WHERE model = :model AND version <> :but GROUP BY version ORDER BY max(t_us) DESC LIMIT 1
"""

# Of several answers to one question that at its own moment counts, otherwise the last one: load asks about a whole
# day's flights at once. SQLite takes a group's other columns from the row with the maximum.
_RANK = "{0}replayed * 1000000000000000000 + {0}t_us"
_LABELLED = f"""
SELECT answer.subject, answer.prediction, label.actual FROM (
  SELECT subject, asked_us, prediction, max({_RANK.format("")}) {_CHOSEN} AND status = 200 AND prediction IS NOT NULL
  GROUP BY subject, asked_us
) AS answer JOIN control.labels AS label
  ON label.model = :model AND label.subject = answer.subject AND label.asked_us = answer.asked_us
  AND label.known_us <= :now
"""  # noqa: S608

_PAIRS = f"""
SELECT copy.subject, live.prediction, copy.prediction, copy.us - live.us, label.actual,
  {_RANK.format("copy.")} = max({_RANK.format("copy.")}) OVER (PARTITION BY copy.subject, copy.asked_us)
FROM predictions AS copy
JOIN predictions AS live ON live.id = copy.id - 1
JOIN series AS original ON original.id = live.series
LEFT JOIN control.labels AS label
  ON label.model = :model AND label.subject = copy.subject AND label.asked_us = copy.asked_us
  AND label.known_us <= :now
WHERE copy.series = {_SERIES} AND copy.t_us >= :since AND original.version <> :version
  AND copy.status = 200 AND live.status = 200 AND copy.prediction IS NOT NULL AND live.prediction IS NOT NULL
"""  # noqa: S608


class Counts(NamedTuple):
    """Requests of one version."""

    requests: int
    errors: int
    subjects: int


class Pair(NamedTuple):
    """A request and its copy, both answered, by different versions."""

    subject: str | None
    prediction: float
    copy: float
    """The copy's prediction."""
    later_us: int
    """How much longer the copy took."""
    actual: float | None
    counts: int
    """Whether it is the one that counts for this question."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One model's predictions.

    Args:
        db: predictions, with control's tables as `control`.
        model: its name.
        now_us: the business clock; later labels are not known yet.
    """

    db: sqlite3.Connection
    model: str
    now_us: int

    def first(self, version: str, traffic: Traffic, since_us: int = 0) -> int | None:
        """When the first request since then was answered; None when there is none."""
        found: int | None = self._ask(_FIRST, version, traffic, since_us)[0][0]
        return found

    def newest(self, but: str) -> str:
        """The other version that answered last; empty when there is none."""
        row = self.db.execute(_NEWEST, {"model": self.model, "but": but}).fetchone()
        return str(row["version"]) if row else ""

    def counts(self, version: str, traffic: Traffic, since_us: int) -> Counts:
        """How much one version answered."""
        return Counts(*self._ask(_COUNTS, version, traffic, since_us)[0])

    def latencies_ms(self, version: str, traffic: Traffic, since_us: int) -> Floats:
        """Of answered requests, in the server."""
        found = self._ask(_LATENCIES, version, traffic, since_us)
        return np.array([row[0] for row in found], dtype=np.float64) / 1000

    def labelled(self, version: str, traffic: Traffic, since_us: int) -> Sample:
        """The answer that counts to each question whose outcome is known."""
        found = self._ask(_LABELLED, version, traffic, since_us)
        return sample([(row[0], row[1], row[2]) for row in found])

    def pairs(self, version: str, since_us: int) -> list[Pair]:
        """Copies that a version answered, with their originals."""
        return [Pair(*row) for row in self._ask(_PAIRS, version, "shadow", since_us)]

    def _ask(self, query: str, version: str, traffic: Traffic, since_us: int) -> list[Any]:
        chosen = {"model": self.model, "version": version, "shadow": traffic == "shadow"}
        return self.db.execute(query, {**chosen, "since": since_us, "now": self.now_us}).fetchall()


def sample(rows: Sequence[tuple[str, float, float]]) -> Sample:
    """Subject, prediction and outcome of each row."""
    return Sample(
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.float64),
        [row[0] for row in rows],
    )
