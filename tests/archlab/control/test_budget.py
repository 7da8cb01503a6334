"""What a team's models cost: as planned, and as billed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from archlab.control.budget import of_teams
from archlab.control.store import Store
from archlab.errors import ArchlabError
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.money import Resource, UsageKind
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario
from archlab.world.commitment import WINDOW, planned
from control_process import START, Control, usage

TEAM = "operations"
SECONDS = 30 * 86_400


def ahead(scenario: Scenario, **models: ModelOverride) -> int:
    overrides = Overrides(models={name.replace("_", "-"): change for name, change in models.items()})
    changed = override(scenario, overrides)
    return planned(changed, layout("lab", scenario, 1, overrides), START)[TEAM]


def test_planned_is_what_replicas_reserve_at_the_price_of_the_day(scenario: Scenario) -> None:
    price = scenario.prices.at(Resource.ONLINE_CPU, START)
    ours = [m for m in scenario.models if m.team == TEAM and m.mode is Mode.ONLINE]
    assert ours
    millicores = sum(m.replicas * m.cpu_millicores for m in ours)
    assert ahead(scenario) == millicores * SECONDS * price.nanousd // price.per


def test_more_replicas_cost_more_and_batch_runs_less(scenario: Scenario) -> None:
    model = next(m for m in scenario.models if m.team == TEAM and m.mode is Mode.ONLINE)
    before, name = ahead(scenario), model.name.replace("-", "_")
    price = scenario.prices.at(Resource.ONLINE_CPU, START)
    more = ahead(scenario, **{name: ModelOverride(replicas=8)})
    assert more - before == (8 - model.replicas) * model.cpu_millicores * SECONDS * price.nanousd // price.per
    runs = WINDOW // model.batch_every
    run_price = scenario.prices.at(Resource.BATCH_CPU, START)
    in_runs = ahead(scenario, **{name: ModelOverride(mode=Mode.BATCH)})
    held = model.replicas * model.cpu_millicores * SECONDS * price.nanousd // price.per
    assert in_runs == before - held + runs * model.batch_cpu_millicore_seconds * run_price.nanousd // run_price.per


def test_a_team_without_models_reserves_nothing(scenario: Scenario) -> None:
    assert planned(scenario, layout("lab", scenario, 1, Overrides()), START)["nobody"] == 0


def test_what_was_billed_comes_from_the_bill(control: Control) -> None:
    assert control.get(f"/budgets?team={TEAM}")["spent_nanousd_last_30_days"] == 0
    record = usage(START - timedelta(hours=1), "a", UsageKind.RESERVED, 1_800_000)
    control.post("/usage", [record.model_dump(mode="json")])
    lines = [line for line in control.get("/lines") if line["team"] == TEAM]
    found = control.get(f"/budgets?team={TEAM}")
    assert found["spent_nanousd_last_30_days"] == sum(line["cost_nanousd"] for line in lines) > 0
    assert found["planned_nanousd_per_30_days"] > 0
    assert control.get("/budgets?team=nobody") == {
        **{"team": "nobody", "planned_nanousd_per_30_days": 0, "spent_nanousd_last_30_days": 0},
        "budget_nanousd_per_30_days": None,
    }


def test_a_plan_that_nobody_can_price_is_an_error(scenario: Scenario, tmp_path: Path) -> None:
    unpriced = scenario.model_copy(update={"prices": scenario.prices.model_copy(update={"prices": ()})})
    plan, store = layout("lab", scenario, 1, Overrides()), Store(tmp_path / "control.db")
    with store.read() as db, pytest.raises(ArchlabError, match="can't be priced"):
        of_teams(db, unpriced, plan, [TEAM], START)
    store.close()
