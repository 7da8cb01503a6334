"""Versions in traffic as Prometheus text: requests and, beside them, how many distinct subjects are behind them."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from archlab.control.metrics import escaped
from archlab.control.predictions import Predictions

FRESH_S = 5.0
"""Counting subjects takes time; a scrape within this is answered from the last count."""

_SERIES = """
SELECT series.*, coalesce(known.subjects, 0) AS subjects, coalesce(known.labelled, 0) AS labelled
FROM series LEFT JOIN (
  SELECT s.series, count(DISTINCT s.subject) AS subjects,
    count(DISTINCT CASE WHEN label.known_us <= (SELECT now_us FROM control.clock) THEN s.subject END) AS labelled
  FROM subjects AS s JOIN series AS named ON named.id = s.series LEFT JOIN control.labels AS label
    ON label.model = named.model AND label.subject = s.subject AND label.asked_us = s.asked_us
  GROUP BY s.series
) AS known ON known.series = series.id
ORDER BY series.model, series.version, series.shadow
"""

_GAUGES = {
    "archlab_version_requests": ("Requests that a version answered or failed", "requests"),
    "archlab_version_errors": ("Requests that a version failed", "errors"),
    "archlab_version_subjects": ("Distinct subjects (flights, ...) behind the requests", "subjects"),
    "archlab_version_labelled_subjects": ("Of the subjects, those whose outcome is known", "labelled"),
}


class VersionMetrics:
    """The text, counted anew now and then."""

    def __init__(self, predictions: Predictions, control_db: Path) -> None:
        self._predictions = predictions
        self._control_db = control_db
        self._lock = threading.Lock()
        self._made_s = float("-inf")
        self._text = ""

    def text(self) -> str:
        """At most FRESH_S old."""
        with self._lock:
            if time.monotonic() - self._made_s > FRESH_S:
                with self._predictions.read(self._control_db) as db:
                    self._text = exposition(db.execute(_SERIES).fetchall(), _damaged(db))
                self._made_s = time.monotonic()
            return self._text


def exposition(series: Iterable[Mapping[str, Any]], damaged: int) -> str:
    """Every series under each name."""
    rows = list(series)
    copies = [row for row in rows if row["shadow"]]
    pairs, difference = "archlab_shadow_pairs_total", "archlab_shadow_abs_difference"
    sums = [(f"{difference}_sum", row, row["abs_difference"]) for row in copies]
    counts = [(f"{difference}_count", row, row["pairs"]) for row in copies]
    lines = "archlab_prediction_log_damaged_lines"
    return "".join(
        (
            *(_family(n, "gauge", about, [(n, row, row[key]) for row in rows]) for n, (about, key) in _GAUGES.items()),
            _family(
                pairs,
                "counter",
                "Copies joined with originals of another version",
                [(pairs, r, r["pairs"]) for r in copies],
            ),
            _family(difference, "summary", "Between the predictions of a pair", [*sums, *counts]),
            f"# HELP {lines} Lines that could not be read\n# TYPE {lines} gauge\n{lines} {damaged}\n",
        )
    )


def _family(name: str, kind: str, about: str, samples: Iterable[tuple[str, Mapping[str, Any], float]]) -> str:
    head = f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    return head + "".join(f"{sample}{{{_labels(row)}}} {value}\n" for sample, row, value in samples)


def _labels(row: Mapping[str, Any]) -> str:
    traffic = "shadow" if row["shadow"] else "live"
    texts = {"model": row["model"], "version": row["version"], "traffic": traffic}
    return ",".join(f'{key}="{escaped(value)}"' for key, value in texts.items())


def _damaged(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT total(damaged) FROM logs").fetchone()[0])
