"""Point-in-time joins: features as they were known when the question was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from archlab_features.views import view

CHUNK_ROWS = 40_000
"""Entity rows per query: bounds memory; the time it takes grows with rows either way."""


class RowCountError(RuntimeError):
    """A join answered another number of rows than it was asked for."""


def point_in_time(store: Any, entities: pd.DataFrame, features: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Features for entity rows, each as known at its `event_timestamp`.

    Args:
        entities: unique `row`, `event_timestamp` (UTC) and the views' join keys; other columns stay aside.
        features: features wanted, by view.

    Returns:
        One row per entity row, in the same order and with the same index: the features only.

    Raises:
        RowCountError: rows were lost or doubled on the way.
    """
    keys = sorted({view(name).join_key for name in features})
    names = [f"{name}:{feature}" for name, chosen in features.items() for feature in chosen]
    wanted = entities[["row", "event_timestamp", *keys]]
    parts = [_join(store, wanted.iloc[at : at + CHUNK_ROWS], names) for at in range(0, len(wanted), CHUNK_ROWS)]
    joined = pd.concat(parts).set_index("row")
    if len(joined) != len(entities) or not joined.index.is_unique:
        raise RowCountError(f"{len(entities)} entity rows went into the join, {len(joined)} came out")
    chosen = joined.loc[entities["row"], [name.split(":")[1] for name in names]]
    return chosen.set_index(entities.index)


def _join(store: Any, entities: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    # Without filter_by_created_timestamp a row that came late would be joined as if it had been there in time.
    job: Any = store.get_historical_features(entities, features, filter_by_created_timestamp=True)
    return job.to_df()
