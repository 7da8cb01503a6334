"""The scoreboard: answers joined with the labels known by the clock, value, and money."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from archlab.control import bill, clock
from archlab.control.times import to_us
from archlab.quality import MEASURES
from archlab.spec.airline import ModelScore, Scoreboard, Timeliness
from archlab.spec.business import ModelCard
from archlab.spec.money import Line, LineKind
from archlab.spec.scenario import Mode, Model, Scenario
from archlab.world.value import worth

BUSINESS_DAY = timedelta(days=1)
THROTTLED = 429

_JOINED = """
SELECT a.model, a.timeliness, a.status, a.latency_ms, a.prediction, l.actual, l.baseline
FROM answers AS a LEFT JOIN labels AS l
  ON l.model = a.model AND l.subject = a.subject AND l.asked_us = a.asked_us AND l.known_us <= :now
WHERE a.asked_us > :since AND a.asked_us <= :until
ORDER BY a.model
"""

Row = Mapping[str, Any]


def scoreboard(
    db: sqlite3.Connection,
    scenario: Scenario,
    cards: Mapping[str, ModelCard],
    since: datetime | None = None,
    until: datetime | None = None,
) -> Scoreboard:
    """Requests with since < asked <= until and money of the same time; labels as far as the clock's now knows them."""
    now = clock.read(db)
    # without an end also what was booked since the last tick, at the clock's now: corrections, training
    lines = bill.read(db, since or now.started, until)
    since, until = since or now.started, min(until or now.now, now.now)
    span = {"now": to_us(now.now), "since": to_us(since), "until": to_us(until)}
    answers = {name: list(rows) for name, rows in groupby(db.execute(_JOINED, span), key=itemgetter("model"))}
    models = tuple(score(m, cards.get(m.name), answers.get(m.name, []), lines) for m in scenario.models)
    return _sum(since, until, models, lines)


def daily(db: sqlite3.Connection, scenario: Scenario, cards: Mapping[str, ModelCard]) -> list[Scoreboard]:
    """One scoreboard per finished business day; a day lasts 24 hours from the scenario's start."""
    state = clock.read(db)
    days = (state.now - state.started) // BUSINESS_DAY
    starts = (state.started + n * BUSINESS_DAY for n in range(days))
    return [scoreboard(db, scenario, cards, start, start + BUSINESS_DAY) for start in starts]


def score(model: Model, card: ModelCard | None, rows: list[Row], lines: list[Line]) -> ModelScore:
    """One model's row."""
    counts = Counter(row["timeliness"] for row in rows)
    used, idle = _money(model.name, lines)
    quality, baseline = _quality(card, rows)
    judged = _estimated(rows) if card and card.kind == "clusters" else rows
    value = sum(_worth(model, row) for row in judged) * model.caller.represents
    return ModelScore(
        model=model.name,
        mode=_mode(model, lines),
        requests=len(rows),
        on_time=counts[Timeliness.ON_TIME],
        late=counts[Timeliness.LATE],
        stale=counts[Timeliness.STALE],
        missing=counts[Timeliness.MISSING],
        limited=sum(row["status"] == THROTTLED for row in rows),
        labelled=sum(row["actual"] is not None and row["prediction"] is not None for row in rows),
        metric=card.metric if card else "",
        quality=quality,
        baseline=baseline,
        higher_is_better=card.higher_is_better if card else True,
        p99_ms=_p99([row["latency_ms"] for row in rows if row["timeliness"] != Timeliness.MISSING]),
        value_nanousd=value,
        used_nanousd=used,
        idle_nanousd=idle,
        net_nanousd=value - used - idle,
    )


def _worth(model: Model, row: Row) -> int:
    return worth(model.caller.value, Timeliness(row["timeliness"]), row["prediction"], row["actual"])


def _estimated(rows: list[Row]) -> list[Row]:
    """Clusters as estimates: a cluster says of its member what is true of its labelled members on average."""
    members: dict[float, list[float]] = defaultdict(list)
    for row in rows:
        if row["actual"] is not None and row["prediction"] is not None:
            members[row["prediction"]].append(row["actual"])
    means = {cluster: sum(actuals) / len(actuals) for cluster, actuals in members.items()}
    # without a labelled member there is nothing to judge yet, and the cluster's number will not be looked at
    return [{**dict(row), "prediction": means.get(row["prediction"], row["prediction"])} for row in rows]


def _quality(card: ModelCard | None, rows: list[Row]) -> tuple[float | None, float | None]:
    """Of the model and, on the rows where there is one, of its baseline."""
    labelled = [row for row in rows if row["actual"] is not None and row["prediction"] is not None]
    if card is None:
        return None, None
    compared = [row for row in labelled if row["baseline"] is not None]
    return _measure(card, labelled, "prediction"), _measure(card, compared, "baseline")


def _measure(card: ModelCard, rows: list[Row], column: str) -> float | None:
    predictions = np.array([row[column] for row in rows], dtype=np.float64)
    return MEASURES[card.metric](predictions, np.array([row["actual"] for row in rows], dtype=np.float64))


def _p99(latencies_ms: list[float]) -> float | None:
    return float(np.quantile(latencies_ms, 0.99, method="inverted_cdf")) if latencies_ms else None


def _mode(model: Model, lines: Iterable[Line]) -> str:
    """How it answered at the end of the time: what its newest line was charged for; as declared when nothing was."""
    answering = {mode.value for mode in Mode}
    own = [line for line in lines if line.model == model.name and line.mode in answering and not line.corrects]
    return max(own, key=lambda line: line.end).mode if own else model.mode.value


def _money(model: str, lines: Iterable[Line]) -> tuple[int, int]:
    own = [line for line in lines if line.model == model]
    idle = sum(line.cost_nanousd for line in own if line.kind is LineKind.IDLE)
    return sum(line.cost_nanousd for line in own) - idle, idle


def _sum(since: datetime, until: datetime, models: tuple[ModelScore, ...], lines: list[Line]) -> Scoreboard:
    value, cost = sum(m.value_nanousd for m in models), sum(line.cost_nanousd for line in lines)
    return Scoreboard(
        since=since,
        until=until,
        models=models,
        shared_nanousd=cost - sum(m.used_nanousd + m.idle_nanousd for m in models),
        value_nanousd=value,
        cost_nanousd=cost,
        net_nanousd=value - cost,
    )
