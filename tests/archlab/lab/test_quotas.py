"""What a budget stops: a run beside those that fall due, and replicas that follow load. The rules are the real ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from archlab import identity
from archlab.errors import RefusedError
from archlab.files import write_model
from archlab.lab import quotas
from archlab.lab.lab import Lab
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.policy.bundle import publish
from archlab.settings import LabFolder
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.plan import Plan
from archlab.spec.scenario import Overrides, Scenario, TeamOverride, User
from archlab.spec.tenancy import Isolation
from archlab.world import commitment

USD = 10**9
SCENARIO = resolve(load_scenario(scenario_folder("five-teams") / "scenario.yaml"), 1)[0]
TEAM, MODEL = "revenue", "route-segments"
OTHER = Overrides(teams={TEAM: TeamOverride(isolation=Isolation.POOL)})


class Desk:
    """Control, as far as it is asked: the clock, what teams cost, and decisions that it keeps."""

    def __init__(self, billed_usd: float, plan: Plan, scenario: Scenario) -> None:
        planned = commitment.planned(scenario, plan, SCENARIO.starts)
        self.rows = [
            {
                "team": team.name,
                "planned_nanousd_per_30_days": planned[team.name],
                "spent_nanousd_last_30_days": round(billed_usd * USD),
            }
            for team in scenario.teams
        ]
        self.decisions: list[Mapping[str, Any]] = []

    def get(self, path: str) -> Any:
        if path == "/clock":
            return {"now": SCENARIO.starts.isoformat()}
        return self.rows if path == "/budgets" else next(r for r in self.rows if path == f"/budgets?team={r['team']}")

    def post(self, path: str, body: Mapping[str, Any]) -> None:
        assert path == "/decisions"
        self.decisions.append(body)


class Still(Lab):
    """A lab without processes."""

    def __init__(self, folder: LabFolder, scenario: Scenario, billed_usd: float) -> None:
        super().__init__(folder)
        self.resolved = scenario
        self.desk = Desk(billed_usd, self.plan, self.scenario)

    @property
    def control(self) -> Any:
        return self.desk

    def client(self, _path: str = "", _user: str | None = None) -> Any:
        return self.desk

    def user(self, name: str | None = None) -> User:
        return SCENARIO.user(name or "learner")


def lab(place: Path, budget_usd: int | None, *, billed_usd: float = 0, overrides: Overrides | None = None) -> Still:
    """Revenue has such a budget and such a bill; some 22 USD are planned for its part of the pool."""
    teams = tuple(t.model_copy(update={"budget_usd": budget_usd if t.name == TEAM else None}) for t in SCENARIO.teams)
    scenario = SCENARIO.model_copy(update={"teams": teams})
    folder = LabFolder(place / "lab")
    identity.create_keys(folder)
    publish(folder)
    write_model(folder.overrides, overrides or Overrides())
    write_model(folder.plan, layout("lab", scenario, 1, overrides or Overrides()))
    return Still(folder, scenario, billed_usd)


def planned_usd(found: Still) -> int:
    return -(-commitment.planned(found.scenario, found.plan, SCENARIO.starts)[TEAM] // USD)


def test_a_run_within_the_budget_is_decided_and_on_record(tmp_path: Path) -> None:
    found = lab(tmp_path, 500)
    assert quotas.check_run(found, MODEL) == ()
    (kept,) = found.desk.decisions
    assert kept["decision"]["allow"] is True
    assert (kept["query"]["action"], kept["query"]["resource"]["kind"]) == ("quota/change", "run")


def test_a_run_near_the_budget_is_warned_of(tmp_path: Path) -> None:
    (said,) = quotas.check_run(lab(tmp_path, 100, billed_usd=90), MODEL)
    assert said == "revenue takes 91 USD in 30 days of 100: 91 % of its quota of budget"


@pytest.mark.parametrize("billed_usd", [0, 400])
def test_a_team_over_its_budget_gets_no_run_and_hears_who_can_raise_it(tmp_path: Path, billed_usd: float) -> None:
    """By what it plans, or by what it was billed."""
    budget = 300 if billed_usd else 10
    found = lab(tmp_path, budget, billed_usd=billed_usd)
    with pytest.raises(RefusedError) as refused:
        quotas.check_run(found, MODEL)
    assert f"Team revenue would take {401 if billed_usd else planned_usd(found)} USD" in refused.value.message
    assert f"its quota is {budget}" in refused.value.message
    assert "finance can (archlab quota set revenue budget N)" in refused.value.message
    assert [kept["decision"]["allow"] for kept in found.desk.decisions] == [False]


def test_the_run_that_would_break_the_budget_is_the_one_that_is_refused(tmp_path: Path) -> None:
    """2,400 core-seconds of it cost about a cent."""
    quotas.check_run(lab(tmp_path / "a", 400, billed_usd=399.98), MODEL)
    with pytest.raises(RefusedError, match="would take 401 USD"):
        quotas.check_run(lab(tmp_path / "b", 400, billed_usd=399.995), MODEL)


def test_a_team_without_a_budget_is_asked_nothing(tmp_path: Path) -> None:
    found = lab(tmp_path, None, billed_usd=10_000)
    assert quotas.check_run(found, MODEL) == ()
    assert found.desk.decisions == []


def scaled(most: int) -> Overrides:
    wanted = Autoscaling(signal=Signal.CONCURRENCY, target_milli=500, max_replicas=most)
    return OTHER.model_copy(update={"autoscale": {TEAM: wanted}})


def asked(found: Still, most: int) -> tuple[str, ...]:
    return quotas.check_scaling(found, scaled(most), layout("lab", found.resolved, 1, scaled(most)))


def test_replicas_that_follow_load_are_priced_as_if_all_ran(tmp_path: Path) -> None:
    """A third pod costs half of what two cost; the budget is enough for three and not for four."""
    two = planned_usd(lab(tmp_path / "a", 500, overrides=OTHER))
    found = lab(tmp_path / "b", round(two * 1.6), overrides=OTHER)
    (warned,) = asked(found, 3)
    assert "of its quota of budget" in warned
    with pytest.raises(RefusedError, match=f"Team revenue would take {2 * two - 1}|{2 * two} USD.*finance can"):
        asked(found, 4)
    assert [kept["decision"]["allow"] for kept in found.desk.decisions] == [True, False]


def test_pods_that_the_memory_quota_never_allows_cost_nothing(tmp_path: Path) -> None:
    """256 MiB are four pods; at most eight are asked for."""
    two = planned_usd(lab(tmp_path / "a", 500, overrides=OTHER))
    assert asked(lab(tmp_path / "b", 2 * two + 1, overrides=OTHER), 8)


def test_what_was_billed_counts_where_it_is_more(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="would take 600 USD"):
        asked(lab(tmp_path, 500, billed_usd=600, overrides=OTHER), 3)


def test_fewer_at_most_than_before_is_never_asked_about(tmp_path: Path) -> None:
    found = lab(tmp_path, 1, overrides=scaled(4))
    assert asked(found, 3) == ()
    assert found.desk.decisions == []
