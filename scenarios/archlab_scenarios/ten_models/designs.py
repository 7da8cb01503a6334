"""Designs that submitted ones are measured against: references against the variant, and what one does without thought.

Each is a function of the scenario as resolved for the seed and of the replayed requests per model on the hidden days.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from fractions import Fraction

from archlab.spec.money import Resource
from archlab.spec.scenario import Mode, Model, ModelOverride, Overrides, Scenario

Design = Callable[[Scenario, Mapping[str, int]], Overrides]

DAY = timedelta(days=1)
DAY_SECONDS = 86_400
LOST_UNIT = "online"
"""Pool that loses a replica in `outlives-a-loss`."""


def cheapest_fresh(scenario: Scenario, demand: Mapping[str, int]) -> Overrides:
    """Per model the cheaper of one replica and batch runs as often as the caller's age limit asks."""
    return _chosen(scenario, demand, lambda _model: 1)


def cheapest_lossproof(scenario: Scenario, demand: Mapping[str, int]) -> Overrides:
    """The same, with a second replica for what stays online in the pool that loses one."""
    return _chosen(scenario, demand, lambda model: 2 if model.pool == LOST_UNIT else 1)


def as_declared(_scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """The design that everybody starts from."""
    return Overrides()


def all_online(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """Everything answers when asked, with two replicas."""
    return Overrides(models={m.name: ModelOverride(mode=Mode.ONLINE, replicas=2) for m in scenario.models})


def all_batch(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """Everything is computed once a night."""
    return Overrides(models={m.name: ModelOverride(mode=Mode.BATCH, batch_every=DAY) for m in scenario.models})


def one_replica_each(scenario: Scenario, _demand: Mapping[str, int]) -> Overrides:
    """As declared, with the spare replicas saved."""
    return Overrides(models={m.name: ModelOverride(replicas=1) for m in scenario.models if m.mode is Mode.ONLINE})


def _chosen(scenario: Scenario, demand: Mapping[str, int], replicas: Callable[[Model], int]) -> Overrides:
    chosen = {}
    for model in scenario.models:
        if model.mode is not Mode.ONLINE:
            continue
        runs = max(1, -(-DAY // model.caller.max_age))
        online = replicas(model) * model.cpu_millicores * DAY_SECONDS * _price(scenario, Resource.ONLINE_CPU)
        computing = runs * model.batch_cpu_millicore_seconds * _price(scenario, Resource.BATCH_CPU)
        asked = demand[model.name] * model.caller.represents
        batch = computing + asked * _price(scenario, Resource.LOOKUP)
        if model.caller.asks != "flight-departed" and batch < online:
            chosen[model.name] = ModelOverride(mode=Mode.BATCH, batch_every=DAY / runs)
        elif model.replicas != replicas(model):
            chosen[model.name] = ModelOverride(replicas=replicas(model))
    return Overrides(models=chosen)


def _price(scenario: Scenario, resource: Resource) -> Fraction:
    found = scenario.prices.at(resource, scenario.starts)
    return Fraction(found.nanousd, found.per)
