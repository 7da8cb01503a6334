"""What the learner's seed and the learner's own changes make of a scenario."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from archlab.errors import SpecError, UserError
from archlab.plan import access, regions, tenancy
from archlab.spec.money import PriceBook, Resource
from archlab.spec.scenario import FeatureSchedule, Model, ModelOverride, Overrides, Scenario, Variant, Variation

Choice = float | int | str

FIXED = frozenset({"format", "name", "business", "variations"})
"""What no variation may touch."""


def resolve(scenario: Scenario, seed: int) -> tuple[Scenario, Variant]:
    """The scenario as this seed decides it, and what was decided. The same seed decides the same everywhere.

    Raises:
        SpecError: a variation names no field of the scenario, or a choice doesn't fit there.
    """
    chosen = {variation.name: choose(scenario.name, seed, variation) for variation in scenario.variations}
    return _varied(scenario, chosen), Variant(seed=seed, chosen=chosen)


def choose(scenario: str, seed: int, variation: Variation) -> Choice:
    """The choice that a seed takes: SHA-256 of scenario, seed and variation, modulo the number of choices."""
    digest = hashlib.sha256(f"{scenario}/{seed}/{variation.name}".encode()).digest()
    return variation.choices[int.from_bytes(digest[:8]) % len(variation.choices)]


def check(scenario: Scenario) -> None:
    """Try every choice of every variation, so that an author learns of a fault before a learner's seed finds it.

    Raises:
        SpecError: as `resolve`.
    """
    for variation in scenario.variations:
        for choice in variation.choices:
            vary(scenario, variation, choice)


def vary(scenario: Scenario, variation: Variation, choice: Choice) -> Scenario:
    """The scenario with one field set."""
    head, *rest = variation.path.split(".")
    _check_head(head, variation)
    if head == "prices":
        return scenario.model_copy(update={"prices": _price(scenario, variation, rest, choice)})
    tree = scenario.model_dump()
    _set(tree, [head, *rest], choice, variation)
    try:
        return Scenario.model_validate(tree)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise SpecError(f"Variation {variation.name}: {choice!r} doesn't fit {variation.path}: {reason}.") from None


def _varied(scenario: Scenario, chosen: Mapping[str, Choice]) -> Scenario:
    """Every variation at once, validated once; one by one where something is wrong, to say what."""
    tree = scenario.model_dump()
    priced = [v for v in scenario.variations if v.path.split(".")[0] == "prices"]
    others = [v for v in scenario.variations if v not in priced]
    try:
        for variation in others:
            head, *rest = variation.path.split(".")
            _check_head(head, variation)
            _set(tree, [head, *rest], chosen[variation.name], variation)
        varied = Scenario.model_validate(tree)
    except ValidationError:
        for variation in others:
            scenario = vary(scenario, variation, chosen[variation.name])
        raise
    for variation in priced:
        varied = vary(varied, variation, chosen[variation.name])
    return varied


def _check_head(head: str, variation: Variation) -> None:
    if head in FIXED:
        raise SpecError(f"Variation {variation.name}: {head} can't vary.")


def override(scenario: Scenario, overrides: Overrides) -> Scenario:
    """The scenario with the learner's own changes: modes, replicas, devices, batch intervals, feature schedules, teams,
    grants.

    Raises:
        UserError: a model, a team, a feature view or a pool of that name is not in the scenario.
    """
    _known("model", overrides.models, [m.name for m in scenario.models])
    _known("team", overrides.teams, [t.name for t in scenario.teams])
    _known("team", {g.team: g for g in overrides.granted}, [t.name for t in scenario.teams])
    _known("model", {g.model: g for g in overrides.granted if g.model}, [m.name for m in scenario.models])
    _known("restricted view", {g.view: g for g in overrides.granted if g.view}, [v.view for v in scenario.views])
    _known("feature view", overrides.feature_every, [f.view for f in scenario.features])
    models = tuple(_changed(m, overrides.models.get(m.name)) for m in scenario.models)
    features = tuple(
        FeatureSchedule.model_validate({**f.model_dump(), "every": overrides.feature_every.get(f.view, f.every)})
        for f in scenario.features
    )
    settled = tenancy.settle(scenario.model_copy(update={"models": models, "features": features}), overrides)
    settled = access.settle(settled, overrides)
    pair = regions.settle(settled.regions, overrides.regions, [m.name for m in settled.models])
    settled = settled.model_copy(update={"regions": pair})
    _known("pool", overrides.autoscale or {}, [p.name for p in settled.pools])
    return settled


def _changed(model: Model, change: ModelOverride | None) -> Model:
    if change is None:
        return model
    update = change.model_dump(exclude_none=True, include={"mode", "replicas", "batch_every"})
    if change.device is not None:
        update["device"] = model.device.model_copy(update={"wanted": change.device})
    return model.model_copy(update=update)


def _known(kind: str, asked: dict[str, Any], known: list[str]) -> None:
    for name in asked:
        if name not in known:
            raise UserError(f"There is no {kind} {name!r}.", f"Known: {', '.join(sorted(known)) or 'none'}.")


def _price(scenario: Scenario, variation: Variation, path: list[str], choice: Choice) -> PriceBook:
    """The book with the price that is in force when the scenario starts set to `choice` nano-dollars."""
    try:
        (name,) = path
        index = scenario.prices.prices.index(scenario.prices.at(Resource(name), scenario.starts))
    except (ValueError, LookupError):
        raise SpecError(
            f"Variation {variation.name}: {variation.path} is no price in force at the scenario's start.",
            f"Prices: {', '.join(sorted({p.resource.value for p in scenario.prices.prices}))}.",
        ) from None
    tree = scenario.prices.model_dump()
    tree["prices"][index]["nanousd"] = choice
    try:
        return PriceBook.model_validate(tree)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise SpecError(f"Variation {variation.name}: {choice!r} is no price: {reason}.") from None


def _set(tree: dict[str, Any], path: list[str], value: Choice, variation: Variation) -> None:
    parent: Any = tree
    for step in path[:-1]:
        parent = _child(parent, step)
    if not isinstance(parent, dict) or isinstance(parent.get(path[-1], {}), dict | list | tuple):
        raise SpecError(
            f"Variation {variation.name}: {variation.path} names no field that can be set.",
            "Write models.NAME.FIELD, models.NAME.caller.FIELD, prices.RESOURCE, ...",
        )
    parent[path[-1]] = value


def _child(parent: Any, step: str) -> Any:
    """A field of an object, or the item of a list that is called so; None when there is none."""
    if isinstance(parent, dict):
        return parent.get(step)
    if isinstance(parent, list | tuple):
        return next((item for item in parent if step in (item.get("name"), item.get("view"))), None)
    return None
