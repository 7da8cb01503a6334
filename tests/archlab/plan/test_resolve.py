from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.errors import SpecError, UserError
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import check, choose, override, resolve, vary
from archlab.spec.money import Resource
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario, Variation

seeds = st.integers(min_value=0, max_value=2**63)


@given(seed=seeds)
def test_a_seed_always_decides_the_same_and_only_among_the_choices(scenario: Scenario, seed: int) -> None:
    resolved, variant = resolve(scenario, seed)
    assert (resolved, variant) == resolve(scenario, seed)
    for variation in scenario.variations:
        assert variant.chosen[variation.name] in variation.choices
    assert resolved.model("delay").caller.represents == variant.chosen["volume"]
    assert resolved.model("congestion").caller.deadline_ms == variant.chosen["deadline"]
    assert resolved.prices.at(Resource.ONLINE_CPU, resolved.starts).nanousd == variant.chosen["price"]
    assert Scenario.model_validate(resolved.model_dump()) == resolved


def test_what_a_seed_decides_never_changes_between_versions(scenario: Scenario) -> None:
    """Recorded: a learner's lab must resolve to the same world after an update."""
    variant = resolve(scenario, 7)[1]
    assert variant.chosen == {"volume": 10, "deadline": 50, "worth": 900, "price": 5, "schedule": "PT2H"}


def test_seeds_differ_and_every_choice_is_taken_by_some(scenario: Scenario) -> None:
    for variation in scenario.variations:
        taken = {choose(scenario.name, seed, variation) for seed in range(100)}
        assert taken == set(variation.choices)


def test_variations_are_decided_independently(scenario: Scenario) -> None:
    pairs = {tuple(resolve(scenario, seed)[1].chosen.values()) for seed in range(200)}
    assert len(pairs) > 40  # of 48


@pytest.mark.parametrize("name", ["ten-models", "five-teams"])
def test_all_variations_at_once_are_what_they_are_one_by_one(name: str) -> None:
    declared = load_scenario(scenario_folder(name) / "scenario.yaml")
    for seed in range(1, 4):
        resolved, variant = resolve(declared, seed)
        single = declared
        for variation in declared.variations:
            single = vary(single, variation, variant.chosen[variation.name])
        assert resolved == single


def test_one_choice_among_many_that_does_not_fit_is_named(scenario: Scenario) -> None:
    broken = Variation(name="broken", path="models.delay.caller.represents", choices=(0, 0))
    with pytest.raises(SpecError, match=r"Variation broken: 0 doesn't fit models\.delay\.caller"):
        resolve(scenario.model_copy(update={"variations": (*scenario.variations, broken)}), 1)


def test_what_no_variation_names_stays(scenario: Scenario) -> None:
    resolved, _ = resolve(scenario, 3)
    assert resolved.model("segments") == scenario.model("segments")
    later = [p for p in resolved.prices.prices if p.effective.month == 12]
    assert [p.nanousd for p in later] == [12]


@pytest.mark.parametrize(
    "path",
    [
        "models.none.caller.represents",
        "models.delay.caller.none",
        "models.delay.caller",
        "models.delay",
        "models",
        "",
        "models..x",
        "prices",
        "prices.gold",
        "prices.lookup",
        "prices.online_cpu.nanousd",
        "name",
        "variations.volume.path",
        "models.delay.name.x",
        "teams.ops.title.0",
    ],
)
def test_a_path_to_nothing_is_a_fault_of_the_scenario(scenario: Scenario, path: str) -> None:
    with pytest.raises(SpecError, match="Variation broken"):
        vary(scenario, Variation(name="broken", path=path, choices=(1, 2)), 1)


@pytest.mark.parametrize(
    ("path", "choice"),
    [
        ("models.delay.caller.represents", 0),
        ("models.delay.caller.represents", 1.5),
        ("models.delay.pool", "elsewhere"),
        ("models.delay.mode", "sometimes"),
        ("prices.online_cpu", -1),
        ("prices.online_cpu", 0.5),
        ("features.weather.every", "often"),
    ],
)
def test_a_choice_that_does_not_fit_is_a_fault_of_the_scenario(
    scenario: Scenario, path: str, choice: float | int | str
) -> None:
    variation = Variation(name="broken", path=path, choices=(choice, choice))
    with pytest.raises(SpecError, match="Variation broken"):
        vary(scenario, variation, choice)
    with pytest.raises(SpecError, match="Variation broken"):
        check(scenario.model_copy(update={"variations": (variation,)}))


def test_overrides_change_what_they_name(scenario: Scenario) -> None:
    wanted = Overrides(
        models={
            "delay": ModelOverride(mode=Mode.BATCH, batch_every=timedelta(hours=6)),
            "congestion": ModelOverride(replicas=2),
        },
        feature_every={"weather": timedelta(minutes=5)},
    )
    changed = override(scenario, wanted)
    assert (changed.model("delay").mode, changed.model("delay").batch_every) == (Mode.BATCH, timedelta(hours=6))
    assert changed.model("delay").replicas == scenario.model("delay").replicas
    assert changed.model("congestion").replicas == 2
    assert changed.features[0].every == timedelta(minutes=5)
    assert override(changed, wanted) == changed
    assert override(scenario, Overrides()) == scenario


def test_unknown_names_are_answered_with_the_known_ones(scenario: Scenario) -> None:
    with pytest.raises(UserError, match=r"no model 'dely'.*congestion, delay, segments"):
        override(scenario, Overrides(models={"dely": ModelOverride(replicas=1)}))
    with pytest.raises(UserError, match=r"no feature view 'wether'.*weather"):
        override(scenario, Overrides(feature_every={"wether": timedelta(hours=1)}))
