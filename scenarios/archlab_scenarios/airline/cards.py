"""Cards of the airline's ten models: what each predicts, from which columns, and the simple rule to beat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from archlab.spec.business import ModelCard
from archlab.spec.release import Column
from archlab_features.views import view

FLIGHT = ("flight_id", "origin", "carrier", "route", "tailnum", "corridor")

WINDS = (
    "wx_humidity",
    "wx_wind_direction",
    "wx_wind_speed",
    "wx_wind_gust",
    "wx_precipitation",
    "wx_visibility",
)
"""Weather without what mostly tells the season: a model trained before winter would read winter out of it wrongly."""


def columns(
    *request: str, views: Iterable[str] = (), only: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Column, ...]:
    """Input columns in order: those that callers bring, then the views' features (of some views only those named)."""
    chosen = only or {}
    return (
        *(Column(name=name, source="request") for name in request),
        *(Column(name=name, source=source) for source in views for name in chosen.get(source, view(source).features)),
    )


_OPERATIONS = ("weather", "origin_ops", "carrier_daily", "route_daily")

_CARDS = (
    ModelCard(
        name="departure-delay",
        title="Departure delay",
        target="Will the flight leave more than 15 minutes late? Asked an hour before its schedule.",
        algorithm="histogram gradient boosting",
        kind="classification",
        feature_service="departure_delay",
        columns=columns("minute_of_day", "weekday", "distance", "block", views=(*_OPERATIONS, "aircraft_state")),
        keys=FLIGHT[:5],
        table_keys=("flight_id",),
        metric="auc",
        higher_is_better=True,
        baseline="The share of late departures from this airport in this hour of the day, January to September.",
    ),
    ModelCard(
        name="missed-connection",
        title="Missed connection",
        target="Will the flight arrive 45 or more minutes late? Asked an hour before its scheduled departure.",
        algorithm="random forest",
        kind="classification",
        feature_service="missed_connection",
        columns=columns("minute_of_day", "weekday", "distance", "block", views=(*_OPERATIONS, "aircraft_state")),
        keys=FLIGHT[:5],
        table_keys=("flight_id",),
        metric="auc",
        higher_is_better=True,
        baseline="The share of such arrivals among departures from this airport in this hour, January to September.",
    ),
    ModelCard(
        name="cancellation-risk",
        title="Cancellation risk",
        target="Will the flight be cancelled? Asked an hour before its scheduled departure.",
        algorithm="logistic regression",
        kind="classification",
        feature_service="cancellation_risk",
        columns=columns("minute_of_day", "distance", views=_OPERATIONS),
        keys=FLIGHT[:4],
        table_keys=("flight_id",),
        metric="auc",
        higher_is_better=True,
        baseline="The carrier's share of cancelled flights in the 28 days before.",
    ),
    ModelCard(
        name="arrival-delay",
        title="Arrival delay",
        target="How many minutes late will the flight arrive? Asked when it leaves the gate.",
        algorithm="neural network, 32 and 16 units",
        kind="estimate",
        feature_service="arrival_delay",
        columns=columns("dep_delay", "block", views=(*_OPERATIONS, "corridor"), only={"weather": WINDS}),
        keys=("flight_id", "origin", "carrier", "route", "corridor"),
        table_keys=("flight_id",),
        metric="mae",
        higher_is_better=False,
        baseline="The departure delay, plus the mean of what flights made up in the air from January to September.",
        gains_from_device=True,
    ),
    ModelCard(
        name="flight-time",
        title="Flight time",
        target="How many minutes will the flight be in the air? Asked an hour before its scheduled departure.",
        algorithm="histogram gradient boosting",
        kind="estimate",
        feature_service="flight_time",
        columns=columns(
            "minute_of_day",
            "distance",
            "block",
            views=("weather", "route_daily", "corridor"),
            only={"weather": WINDS, "route_daily": ("route_air_time_7d", "route_air_time_28d", "route_elapsed_28d")},
        ),
        keys=("flight_id", "origin", "route", "corridor"),
        table_keys=("flight_id",),
        metric="mae",
        higher_is_better=False,
        baseline="The route's mean of the 28 days before.",
    ),
    ModelCard(
        name="delay-recovery",
        title="Delay recovery",
        target="Will a flight that left 15 to 60 minutes late arrive less than 15 minutes late? Asked when it leaves.",
        algorithm="gradient boosting",
        kind="classification",
        feature_service="delay_recovery",
        columns=columns("dep_delay", "block", views=(*_OPERATIONS, "corridor"), only={"weather": WINDS}),
        keys=("flight_id", "origin", "carrier", "route", "corridor"),
        table_keys=("flight_id",),
        metric="auc",
        higher_is_better=True,
        baseline="The less late it left, the likelier.",
    ),
    ModelCard(
        name="airport-congestion",
        title="Airport congestion",
        target="How many of the next two hours' departures from an airport will leave late or not at all?",
        algorithm="Poisson regression",
        kind="estimate",
        feature_service="airport_congestion",
        columns=columns("sched_count", "minute_of_day", views=("weather", "origin_ops")),
        keys=("origin", "slot"),
        table_keys=("origin", "slot"),
        metric="mae",
        higher_is_better=False,
        baseline="The mean for this airport and half hour of the day, January to September.",
    ),
    ModelCard(
        name="route-segments",
        title="Route segments",
        target="Which of six groups of similar routes does a route belong to?",
        algorithm="k-means",
        kind="clusters",
        feature_service="route_segments",
        columns=columns(
            views=("route_daily",),
            only={
                "route_daily": (
                    "route_flights_28d",
                    "route_late_28d",
                    "route_late_7d",
                    "route_delay_28d",
                    "route_spread_28d",
                    "route_cancelled_28d",
                    "route_distance",
                )
            },
        ),
        keys=("route",),
        table_keys=("route",),
        metric="explained_variance",
        higher_is_better=True,
        baseline="Grouping routes by the airport that they start from.",
    ),
    ModelCard(
        name="aircraft-reliability",
        title="Aircraft reliability",
        target="Will the aircraft leave New York late at least twice in the coming seven days? Asked daily.",
        algorithm="decision tree",
        kind="classification",
        feature_service="aircraft_reliability",
        columns=columns(views=("aircraft_state", "aircraft_profile")),
        keys=("tailnum",),
        table_keys=("tailnum",),
        metric="auc",
        higher_is_better=True,
        baseline="How often it left late in the seven days before.",
    ),
    ModelCard(
        name="block-time-buffer",
        title="Block time buffer",
        target="Within how many minutes, gate to gate, will the flight arrive with a probability of 80 percent?",
        algorithm="histogram gradient boosting, 80th percentile",
        kind="estimate",
        feature_service="block_time_buffer",
        columns=columns("minute_of_day", "distance", "block", views=("route_daily",)),
        keys=("flight_id", "route"),
        table_keys=("flight_id",),
        metric="pinball",
        higher_is_better=False,
        baseline="The route's 80th percentile, January to September.",
    ),
)

CARDS: Mapping[str, ModelCard] = MappingProxyType({card.name: card for card in _CARDS})
