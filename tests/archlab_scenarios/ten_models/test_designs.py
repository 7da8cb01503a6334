"""References are written against the variant: the decision differs between seeds, and each is a sound design."""

from __future__ import annotations

import pytest

from archlab.plan.layout import layout
from archlab.spec.scenario import Mode, Overrides
from archlab_scenarios.ten_models import designs
from synthetic import ASKED, World

SEEDS = range(1, 41)


def _choice(design: Overrides) -> frozenset[tuple[str, str, int | None]]:
    return frozenset((n, c.mode.value if c.mode else "", c.replicas) for n, c in design.models.items())


@pytest.mark.parametrize("make", [designs.cheapest_fresh, designs.cheapest_lossproof])
def test_no_reference_is_right_for_most_seeds(make: designs.Design) -> None:
    chosen = [_choice(make(World(seed=seed).scenario, ASKED)) for seed in SEEDS]
    commonest = max(chosen.count(each) for each in chosen)
    assert len(set(chosen)) >= 2
    assert commonest <= 0.8 * len(chosen)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_references_keep_what_callers_accept(seed: int) -> None:
    scenario = World(seed=seed).scenario
    for make in (designs.cheapest_fresh, designs.cheapest_lossproof):
        for name, change in make(scenario, ASKED).models.items():
            model = scenario.model(name)
            if change.mode is Mode.BATCH:
                assert change.batch_every is not None
                assert change.batch_every <= model.caller.max_age
                assert model.caller.asks != "flight-departed"


def test_what_may_lose_a_replica_has_two() -> None:
    scenario = World(seed=1).scenario
    chosen = designs.cheapest_lossproof(scenario, ASKED)
    for model in scenario.models:
        change = chosen.models.get(model.name)
        stays = model.mode is Mode.ONLINE and (change is None or change.mode is None)
        if stays and model.pool == designs.LOST_UNIT:
            assert (change.replicas if change and change.replicas else model.replicas) >= 2


@pytest.mark.parametrize(
    "make",
    [designs.cheapest_fresh, designs.as_declared, designs.all_online, designs.all_batch, designs.one_replica_each],
)
def test_every_design_can_be_planned(make: designs.Design) -> None:
    scenario = World(seed=1).scenario
    assert layout("lab", scenario, 1, make(scenario, ASKED)).routes
