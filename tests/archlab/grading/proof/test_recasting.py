"""Evidence recast to another seed is what that seed's lab would have shown, to the rounding of a nano-dollar."""

from __future__ import annotations

from datetime import timedelta

import pytest

from archlab.grading.proof import recording
from archlab.grading.proof.recasting import recast
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.spec.airline import Scoreboard
from archlab.spec.money import Resource
from archlab.spec.scenario import Mode, Scenario, Variant
from synthetic import World, declared, ten_models

PAIRS = [(1, 2), (2, 5), (3, 8), (8, 3), (5, 12)]


def as_seed(seed: int) -> tuple[Scenario, Variant]:
    return resolve(declared(), seed)


def _money(board: Scoreboard) -> list[int]:
    each = [(m.value_nanousd, m.used_nanousd + m.idle_nanousd, m.net_nanousd) for m in board.models]
    return [n for row in each for n in row] + [board.shared_nanousd, board.value_nanousd, board.cost_nanousd]


@pytest.mark.parametrize(("was", "now"), PAIRS)
def test_it_agrees_with_a_world_of_that_seed(was: int, now: int) -> None:
    for modes in ({}, {"flight-time": Mode.BATCH}):
        every = {name: timedelta(hours=6) for name in modes}
        there = World(seed=now, modes=modes, batch_every=every).evidence()
        found = recast(World(seed=was, modes=modes, batch_every=every).evidence(), *as_seed(now))
        assert found.scenario == there.scenario
        assert found.variant == there.variant
        assert found.plan == there.plan
        assert found.prices == there.prices
        assert _money(found.daily[0]) == pytest.approx(_money(there.daily[0]), rel=1e-9, abs=50)


def test_its_own_seed_changes_nothing() -> None:
    evidence = World(seed=4).evidence()
    assert recast(evidence, *as_seed(4)) == evidence


def test_there_and_back_again() -> None:
    evidence = World(seed=4).evidence()
    again = recast(recast(evidence, *as_seed(7)), *as_seed(4))
    assert _money(again.daily[0]) == pytest.approx(_money(evidence.daily[0]), rel=1e-9, abs=50)


def test_one_recorded_lab_recast_agrees_with_another_one() -> None:
    """Both replayed the same day. What differs is which answers came late, and metered processor time."""
    first, second, *_ = recording.load(ten_models())
    found = recast(first.prepared, *as_seed(second.seed))
    for mine, theirs in zip(found.daily[0].models, second.prepared.daily[0].models, strict=True):
        assert mine.requests == theirs.requests
        assert mine.used_nanousd + mine.idle_nanousd == pytest.approx(
            theirs.used_nanousd + theirs.idle_nanousd, rel=0.01
        )
        assert mine.value_nanousd == pytest.approx(theirs.value_nanousd, rel=0.1)


@pytest.mark.parametrize("seed", [2, 5])
def test_what_servers_hold_for_themselves_shows_in_what_is_idle(seed: int) -> None:
    """A recorded day of five teams, recast to a variant whose servers hold more, or less: priced as its plan is."""
    five = load_scenario(scenario_folder("five-teams") / "scenario.yaml")
    recorded = recording.load(scenario_folder("five-teams"))[0].prepared
    found = recast(recorded, *resolve(five, seed))
    assert found.scenario.pools[0].base_millicores != recorded.scenario.pools[0].base_millicores
    price = found.prices.at(Resource.ONLINE_CPU, found.clock)
    for score in found.daily[0].models:
        cores = sum(r.replicas * r.cpu_millicores for r in found.plan.reservations if r.model == score.model)
        if score.mode == Mode.ONLINE.value:
            priced = cores * 86_400 * price.nanousd / price.per
            assert score.used_nanousd + score.idle_nanousd == pytest.approx(priced, rel=1e-6)
            held = sum(x.quantity for x in found.lines if (x.model, x.resource) == (score.model, Resource.ONLINE_CPU))
            assert held == pytest.approx(cores * 86_400, rel=1e-6)


def test_a_correction_stays_one() -> None:
    five = load_scenario(scenario_folder("five-teams") / "scenario.yaml")
    solved = recording.load(scenario_folder("five-teams"))[0].solved["job-on-the-bill"].evidence
    before = [line.cost_nanousd for line in solved.lines if line.corrects]
    after = [line.cost_nanousd for line in recast(solved, *resolve(five, 2)).lines if line.corrects]
    assert any(before)
    assert after == before
