"""Labs that a learner can bring about and nobody had in mind: every truth judges them, no mistake breaks on one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import pytest

from archlab.grading.proof import recording
from archlab.grading.proof.recording import Take
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import override, resolve
from archlab.spec.airline import ModelScore
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Mode, ModelOverride, Overrides, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab_scenarios.five_teams import apart, books, mistakes, paying, standing, truths

FOLDER = scenario_folder("five-teams")
TRUTHS = [getattr(truths, name) for name in truths.__all__ if name != "lending_cases"]
MISTAKES = [
    function
    for _, function in inspect.getmembers(mistakes, inspect.isfunction)
    if function.__module__ == mistakes.__name__ and not function.__name__.startswith("_")
]


@cache
def take() -> Take:
    return recording.load(FOLDER)[0]


def prepared() -> Evidence:
    return take().prepared


def changed(overrides: Overrides) -> Evidence:
    """The lab with a learner's changes, its day on the books as it was."""
    before = prepared()
    resolved, _ = resolve(load_scenario(FOLDER / "scenario.yaml"), before.variant.seed)
    scenario = override(resolved, overrides)
    plan = layout(before.lab, resolved, before.variant.seed, overrides)
    return before.model_copy(update={"scenario": scenario, "plan": plan, "overrides": overrides})


def with_scores(change: Callable[[ModelScore], ModelScore | None], of: Iterable[str] = books.TEAMS) -> Evidence:
    """The lab with other rows on its days for the models of some teams."""
    before = prepared()
    ours = {m.name for m in before.scenario.models if m.team in of}
    days = tuple(
        day.model_copy(
            update={"models": tuple(s for m in day.models if (s := change(m) if m.model in ours else m) is not None)}
        )
        for day in before.daily
    )
    return before.model_copy(update={"daily": days})


def silent(score: ModelScore) -> ModelScore:
    nothing = dict.fromkeys(("requests", "on_time", "late", "stale", "missing", "labelled", "value_nanousd"), 0)
    return score.model_copy(update=nothing)


def unanswered(score: ModelScore) -> ModelScore:
    return score.model_copy(update={"on_time": 0, "late": 0, "stale": 0, "missing": score.requests})


def batch(team: str) -> Evidence:
    models = [m.name for m in prepared().scenario.models if m.team == team]
    return changed(Overrides(models={m: ModelOverride(mode=Mode.BATCH) for m in models}))


def apart_by(isolation: Isolation, *teams: str) -> Evidence:
    return changed(Overrides(teams={t: TeamOverride(isolation=isolation) for t in teams}))


def without_quotas() -> Evidence:
    before = prepared()
    none = before.scenario.teams[0].quotas.model_copy(
        update={"devices": None, "memory_bytes": None, "requests_per_day": None}
    )
    teams = tuple(t.model_copy(update={"quotas": none, "budget_usd": None}) for t in before.scenario.teams)
    return before.model_copy(update={"scenario": before.scenario.model_copy(update={"teams": teams})})


LABS: dict[str, Callable[[], Evidence]] = {
    "untouched": lambda: take().start,
    "no-day": lambda: prepared().model_copy(update={"daily": ()}),
    "no-lines": lambda: prepared().model_copy(update={"lines": ()}),
    "no-quotas": without_quotas,
    "nobody-asked": lambda: with_scores(silent),
    "nobody-answered": lambda: with_scores(unanswered),
    "row-missing": lambda: with_scores(lambda _: None, ["revenue"]),
    "all-in-pools": lambda: apart_by(Isolation.POOL, *books.TEAMS),
    "all-in-shares": lambda: apart_by(Isolation.SHARE, *books.TEAMS),
    **{f"{team}-in-batch": partial(batch, team) for team in books.TEAMS},
    **{f"{team}-silent": partial(with_scores, silent, [team]) for team in books.TEAMS},
    **{f"{team}-in-a-pool": partial(apart_by, Isolation.POOL, team) for team in books.TEAMS},
}


def variants_of(evidence: Evidence) -> Iterable[Evidence]:
    """With each team as the one that the seed asks about."""
    for team in books.TEAMS:
        knobs = {**evidence.scenario.knobs, "leaver": team, "split-team": team, "cut-often": team, "user-team": team}
        yield evidence.model_copy(update={"scenario": evidence.scenario.model_copy(update={"knobs": knobs})})


@pytest.mark.parametrize("lab", LABS)
def test_every_truth_judges_every_lab(lab: str) -> None:
    for evidence in variants_of(LABS[lab]()):
        for truth in TRUTHS:
            found: Truth = truth(evidence, evidence.variant)
            assert found.answer is not None or found.blocked or found.interval, truth.__name__


@pytest.mark.parametrize("lab", LABS)
def test_no_mistake_breaks_on_any_lab(lab: str) -> None:
    for evidence in variants_of(LABS[lab]()):
        for mistake in MISTAKES:
            found: Any = mistake(evidence, evidence.variant)
            assert found is None or isinstance(found, bool | float | list), mistake.__name__


def test_a_team_without_useful_answers_has_no_price_for_one() -> None:
    evidence = with_scores(unanswered, ["revenue"])
    found = paying.dearest_answer(evidence, evidence.variant)
    assert found.blocked == (
        "No answer of revenue was of use on your last whole day, so it has no price. See why (archlab score), then: "
        "archlab clock advance 1d"
    )


def test_a_team_that_answers_all_in_batch_has_nothing_to_leave_with() -> None:
    evidence = next(e for e in variants_of(batch("maintenance")) if books.knob(e, "leaver") == "maintenance")
    for truth in (paying.leaving_saves, paying.outside_offer):
        found = truth(evidence, evidence.variant)
        assert "maintenance has no online model in your lab" in found.blocked


def test_the_rush_is_held_against_the_shared_pool_wherever_revenue_is_now() -> None:
    before = apart.what_holds_it(prepared(), prepared().variant)
    for teams in (["revenue"], list(books.TEAMS)):
        evidence = apart_by(Isolation.POOL, *teams)
        assert apart.what_holds_it(evidence, evidence.variant) == before


def test_a_change_that_stands_is_not_one_that_was_allowed() -> None:
    """Nothing grows when it is tried again, so the log can't say anything about it."""
    solved = take().solved["what-quotas-say"].evidence
    key, changes = "planning-pool", standing.TRIED["planning-pool"]
    scenario, plan = books.planned(solved, changes)
    stands = solved.model_copy(update={"scenario": scenario, "plan": plan})
    found = standing.what_quotas_say(stands, stands.variant)
    assert key in found.blocked


def refused(count: int, *, team: str = "customer-care") -> Evidence:
    """A last whole day on which a limit refused so many of a team's requests, and nothing else was missing."""
    first = next(m.name for m in prepared().scenario.models if m.team == team)

    def change(score: ModelScore) -> ModelScore:
        lost = count if score.model == first else 0
        return score.model_copy(update={"missing": lost, "limited": lost, "on_time": score.requests - lost})

    return with_scores(change)


@pytest.mark.parametrize(("count", "is_refused"), [(0, False), (1, True)])
def test_whom_a_quota_refused_is_counted(count: int, is_refused: bool) -> None:
    evidence = refused(count)
    assert apart.is_refused(evidence, evidence.daily[-1], "customer-care") is is_refused
    assert apart.refusals(evidence, evidence.daily[-1], "customer-care") == count


def test_what_a_busy_machine_lost_is_no_refusal() -> None:
    def lose(score: ModelScore) -> ModelScore:
        return score.model_copy(update={"missing": score.requests // 2, "limited": 0})

    evidence = with_scores(lose)
    assert not any(apart.is_refused(evidence, evidence.daily[-1], t) for t in books.TEAMS)


def test_evidence_from_before_refusals_were_counted_is_judged_by_what_is_missing() -> None:
    def lose(score: ModelScore) -> ModelScore:
        return score.model_copy(update={"missing": score.requests // 2, "limited": None})

    evidence = with_scores(lose)
    assert all(apart.is_refused(evidence, evidence.daily[-1], t) for t in books.TEAMS)
