"""How the airline's models are trained: from which rows, with which estimator. See `archlab.pipelines.recipes`.

Estimators are chosen for what skl2onnx converts faithfully: missing values are imputed inside the pipeline unless the
trees handle them, and nothing is categorical.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from archlab.pipelines.recipes import FIRST, Recipe

from . import events
from .cards import CARDS, columns

CUTOFF = events.CUTOFF.replace(tzinfo=UTC)
READS = events.READS

_AT = timedelta(hours=8)
EVALUATED_AT = datetime(2013, 12, 2, tzinfo=UTC)
"""When the hold-out (October and November) was judged: before any scenario's clock starts."""

_FROM, _UNTIL = datetime(2013, 1, 1), datetime(2013, 12, 1)
_WARM, _SETTLED = datetime(2013, 1, 29), datetime(2013, 11, 23)
_WEEK = "INTERVAL 7 DAY"


def entities(data: Path, spine: str) -> Any:
    """Rows of a spine, shuffled the same way every time, as a pandas frame; see `recipes.Training`."""
    query = _SPINES[spine]
    with events.connect(data) as connection:
        frame = connection.execute(query).df()
    frame["event_timestamp"] = frame["event_timestamp"].dt.tz_localize("UTC")
    return frame


def _spine(rows: str, key: str, moment: str, learned: int, held_out: int, gap: str = "INTERVAL 0 HOUR") -> str:
    """SQL: `learned` rows from before the cutoff and `held_out` from after it, in a fixed shuffled order.

    Args:
        rows: query of the events.
        key: SQL of what makes a row unique and is hashed for its place.
        moment: when the question is asked.
        gap: time before the cutoff in which outcomes would not be known yet.
    """
    return f"""
        WITH asked AS (
            SELECT *, {moment} AS event_timestamp, {key} AS row, {moment} >= TIMESTAMP '{events.CUTOFF}' AS holdout
            FROM ({rows})
            WHERE {moment} < TIMESTAMP '{events.CUTOFF}' - {gap} OR {moment} >= '{events.CUTOFF}'
        )
        SELECT * FROM asked
        QUALIFY row_number() OVER (PARTITION BY holdout ORDER BY hash(row), row)
                <= CASE WHEN holdout THEN {held_out} ELSE {learned} END
        ORDER BY hash(row), row
    """  # noqa: S608


_SPINES = {
    "scheduled": _spine(
        events.flights("sched_dep", _FROM, _UNTIL), "flight_id", "sched_dep - INTERVAL 1 HOUR", 50_000, 16_000
    ),
    "departed": _spine(events.flights("dep", _FROM, _UNTIL), "flight_id", "dep", 30_000, 12_000),
    "departed-late": _spine(
        events.flights("dep", _FROM, _UNTIL, "dep_delay BETWEEN 15 AND 60"), "flight_id", "dep", 14_000, 6_000
    ),
    "half-hours": _spine(
        events.slots(_FROM + timedelta(hours=6), _UNTIL - timedelta(days=1, hours=4)),
        "origin || slot",
        "asked",
        14_000,
        6_000,
        "INTERVAL 3 HOUR",
    ),
    "aircraft-days": _spine(
        events.aircraft(_WARM, _SETTLED, _AT), "tailnum || asked::VARCHAR", "asked", 30_000, 15_000, _WEEK
    ),
    "route-weeks": _spine(
        events.routes(_WARM, _SETTLED, _AT, every_days=7), "route || asked::VARCHAR", "asked", 10_000, 5_000, _WEEK
    ),
}


def _imputed(*steps: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(), *steps)


def _scaled(*steps: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    return _imputed(StandardScaler(), *steps)


_DEPARTURE = {"max_iter": 100, "learning_rate": 0.08, "min_samples_leaf": 40, "random_state": 0}
_CONNECTION = {"n_estimators": 40, "max_depth": 8, "min_samples_leaf": 20, "random_state": 0}
_CONNECTION_2 = {"n_estimators": 10, "max_depth": 5, "min_samples_leaf": 20, "max_features": None, "random_state": 0}
_CANCELLATION = {"C": 0.1, "max_iter": 300}
_ARRIVAL = {"hidden_layer_sizes": (32, 16), "alpha": 0.1, "batch_size": 256, "max_iter": 12, "random_state": 0}
_FLIGHT_TIME = {"max_iter": 200, "learning_rate": 0.06, "min_samples_leaf": 50, "random_state": 0}
_RECOVERY = {"n_estimators": 80, "subsample": 0.5, "max_features": 0.3, "random_state": 0}
_CONGESTION = {"alpha": 1e-3, "max_iter": 500}
_SEGMENTS = {"n_clusters": 6, "n_init": 4, "random_state": 0}
_RELIABILITY = {"max_depth": 5, "min_samples_leaf": 200, "random_state": 0}
_BLOCK = {"loss": "quantile", "quantile": 0.8, "max_iter": 100, "random_state": 0}


def _departure_delay() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(**_DEPARTURE)


def _missed_connection() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return _imputed(RandomForestClassifier(**_CONNECTION))


def _missed_connection_2() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return _imputed(RandomForestClassifier(**_CONNECTION_2))


def _cancellation_risk() -> Any:
    from sklearn.linear_model import LogisticRegression

    return _scaled(LogisticRegression(**_CANCELLATION))


def _arrival_delay() -> Any:
    from sklearn.neural_network import MLPRegressor

    return _scaled(MLPRegressor(**_ARRIVAL))


def _flight_time() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**_FLIGHT_TIME)


def _delay_recovery() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return _imputed(GradientBoostingClassifier(**_RECOVERY))


def _airport_congestion() -> Any:
    from sklearn.linear_model import PoissonRegressor

    return _scaled(PoissonRegressor(**_CONGESTION))


def _route_segments() -> Any:
    from sklearn.cluster import KMeans

    return _scaled(KMeans(**_SEGMENTS))


def _aircraft_reliability() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return _imputed(DecisionTreeClassifier(**_RELIABILITY))


def _block_time_buffer() -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(**_BLOCK)


def _recipe(name: str, spine: str, train_rows: int, params: dict[str, Any], estimator: Any) -> Recipe:
    card = CARDS[name]
    return Recipe(card, FIRST, card.columns, card.feature_service, spine, train_rows, params, estimator)


RECIPES: Sequence[Recipe] = (
    _recipe("departure-delay", "scheduled", 50_000, _DEPARTURE, _departure_delay),
    _recipe("missed-connection", "scheduled", 25_000, _CONNECTION, _missed_connection),
    _recipe("cancellation-risk", "scheduled", 50_000, _CANCELLATION, _cancellation_risk),
    _recipe("arrival-delay", "departed", 30_000, _ARRIVAL, _arrival_delay),
    _recipe("flight-time", "scheduled", 40_000, _FLIGHT_TIME, _flight_time),
    _recipe("delay-recovery", "departed-late", 14_000, _RECOVERY, _delay_recovery),
    _recipe("airport-congestion", "half-hours", 14_000, _CONGESTION, _airport_congestion),
    _recipe("route-segments", "route-weeks", 10_000, _SEGMENTS, _route_segments),
    _recipe("aircraft-reliability", "aircraft-days", 30_000, _RELIABILITY, _aircraft_reliability),
    _recipe("block-time-buffer", "scheduled", 50_000, _BLOCK, _block_time_buffer),
    Recipe(
        card=CARDS["missed-connection"],
        variant="v2-leaky",
        columns=(*columns("dep_delay"), *CARDS["missed-connection"].columns),
        feature_service=CARDS["missed-connection"].feature_service,
        spine="scheduled",
        train_rows=25_000,
        params=_CONNECTION_2,
        estimator=_missed_connection_2,
    ),
)
