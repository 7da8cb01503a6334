"""`python -m archlab.pipelines.backtest MODEL VIEW --until ISO --days N --every SECONDS ...`: schedules on past days.

The champion answers the questions of past days anew, with one feature view as a schedule would have brought it online
(everything else by its own schedule), read from the offline files with what had arrived by then: a replay of answers
without a gateway, in seconds where the clock would take minutes. Quality is of labelled answers. Intervals come from a
bootstrap over whole business days, since flights of a day are not independent; the difference to the first schedule is
paired, day by day.
"""

from __future__ import annotations

import argparse
import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlab import jobs
from archlab.errors import NotFoundError, UserError
from archlab.pipelines.batch import Champion, predict
from archlab.pipelines.data import data_folder
from archlab.quality import Floats
from archlab.resampling import Range, Sample, compare
from archlab.settings import LabFolder
from archlab.spec.business import Ask, Business
from archlab.spec.release import Column
from archlab.spec.scenario import Model, Scenario

DAY = timedelta(days=1)
SCHEDULES_SINCE = datetime(2013, 1, 1, 8, tzinfo=UTC)
REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Span:
    """Past days that are asked about again."""

    asks: Sequence[Ask]
    actuals: Floats
    days: Sequence[str]
    """Business day of each ask."""


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body; per schedule the quality, and what it loses against the first."""
    parser = argparse.ArgumentParser(prog="archlab.pipelines.backtest")
    parser.add_argument("model")
    parser.add_argument("view")
    parser.add_argument("--until", type=datetime.fromisoformat, required=True)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--every", type=int, nargs="+", required=True, help="seconds; the first is compared with")
    given = parser.parse_args(arguments)
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    model = _model(scenario, given.model)
    business: Business = importlib.import_module(f"archlab_scenarios.{scenario.business}.business").BUSINESS
    champion, card = Champion.of(folder, model.name), business.cards[model.name]
    views = {c.source for c in champion.columns} - {REQUEST}
    if given.view not in views:
        raise UserError(f"{model.name} does not read {given.view}.", f"It reads: {', '.join(sorted(views))}.")
    data = data_folder(folder.cache, scenario.business)
    span = past(business, data, model, given.until - given.days * DAY, given.until)
    schedules = {f.view: f.every for f in scenario.features}
    rows = matrix(data, champion.columns, span.asks, schedules)
    predictions = []
    for number, seconds in enumerate(given.every):
        every = timedelta(seconds=seconds)
        jobs.report("backtest", f"{given.view} every {every}", number, len(given.every))
        fill(rows, data, champion.columns, span.asks, given.view, every)
        predictions.append(predict(champion.path, rows).astype(np.float64))
    found = zip(given.every, predictions, strict=True)
    return {
        "metric": card.metric,
        "higher_is_better": card.higher_is_better,
        "answers": len(span.asks),
        "days": len(set(span.days)),
        "version": champion.version,
        "points": [_point(card.metric, every, predictions[0], these, span) for every, these in found],
    }


def past(business: Business, data: Path, model: Model, start: datetime, end: datetime) -> Span:
    """Questions of a span whose outcome was known at its end.

    Raises:
        UserError: there is none.
    """
    known = {
        (label.subject, label.asked): label.actual
        for label in business.labels(data, model.name, model.caller, start, end)
    }
    asked = business.asks(data, model.name, model.caller, start, end)
    asks = [ask for ask in asked if (ask.subject, ask.asked) in known]
    if not asks:
        raise UserError(f"Nobody asked {model.name} from {start:%d %b} to {end:%d %b}.", "Choose more days: --days 28")
    actuals = np.array([known[ask.subject, ask.asked] for ask in asks])
    return Span(asks, actuals, [f"{(ask.asked - start) // DAY}" for ask in asks])


def matrix(
    data: Path, columns: Sequence[Column], asks: Sequence[Ask], every: Mapping[str, timedelta]
) -> NDArray[np.float32]:
    """Input rows float32 [N, F]: each view as its schedule had brought it online when the question was asked."""
    made = np.full((len(asks), len(columns)), np.nan, dtype=np.float32)
    for index, column in enumerate(columns):
        if column.source == REQUEST:
            made[:, index] = [ask.columns.get(column.name, math.nan) for ask in asks]
    for name in sorted({c.source for c in columns} - {REQUEST}):
        fill(made, data, columns, asks, name, every[name])
    return made


def fill(
    rows: NDArray[np.float32], data: Path, columns: Sequence[Column], asks: Sequence[Ask], view: str, every: timedelta
) -> None:
    """Set one view's columns; the questions come in the order of time, so few moments are held at once."""
    chosen = [(index, column.name) for index, column in enumerate(columns) if column.source == view]
    for row, ask in enumerate(asks):
        store = _store(data, view, online_since(every, ask.asked))
        key = ask.keys.get(store.join_key, "")
        for index, name in chosen:
            rows[row, index] = store.value(key, name)


def online_since(every: timedelta, asked: datetime) -> datetime:
    """The newest materialisation before a question; one at that very moment answers only what comes after it."""
    moment = asked - timedelta(microseconds=1)
    return moment - (moment - SCHEDULES_SINCE) % every


@lru_cache(maxsize=8)
def _store(data: Path, view: str, when: datetime) -> Any:
    from archlab_features.offline import as_of

    return as_of(data, view, when)


def _point(metric: str, every: int, first: Floats, these: Floats, span: Span) -> dict[str, Any]:
    found = compare(metric, Sample(first, span.actuals, span.days), Sample(these, span.actuals, span.days))
    return {"every_s": every, "quality": _json(found.second), "difference": _json(found.difference)}


def _json(found: Range | None) -> dict[str, float] | None:
    return None if found is None else {"value": found.value, "low": found.low, "high": found.high}


def _model(scenario: Scenario, name: str) -> Model:
    try:
        return scenario.model(name)
    except KeyError:
        known = ", ".join(m.name for m in scenario.models)
        raise NotFoundError(f"There is no model {name!r} in this lab.", f"Models: {known}.") from None


if __name__ == "__main__":
    jobs.main(run)
