"""Truths decide differently for different seeds, and their explanations quote the learner's figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import product
from typing import Any

import pytest

from archlab.grading import content, grade
from archlab.grading.rules import run
from archlab.spec.experiments import Sweep
from archlab.spec.grading import Evidence, Question, QuestionKind, Truth, Verdict
from archlab.spec.scenario import Mode
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models import truths
from sweeps import losses, tails
from synthetic import DAY, World, champions, decision, release, ten_models, version, with_outages
from trials import trial

PACK = content.load(ten_models())
BATCH = {"flight-time": Mode.BATCH, "airport-congestion": Mode.BATCH}
SWEPT: dict[str, Callable[[Evidence], tuple[Sweep, ...]]] = {
    "fresh-enough": lambda _: (losses({1_800: (0, 0), 3_600: (0, 0), 21_600: (9, 9), 86_400: (9, 9)}),),
    "replicas-at-peak": lambda e: (
        tails(dict.fromkeys((1, 2, 3), (9, 9)), e.scenario.model("departure-delay").slo.peak_share or 0),
    ),
}
"""Sweeps that decide, for questions that need one."""
HOURLY = {"airport-congestion": timedelta(hours=1)}


def _truth(name: str, world: World) -> Truth:
    evidence = world.evidence(versions=champions())
    if name in SWEPT:
        evidence = evidence.model_copy(update={"sweeps": SWEPT[name](evidence)})
    found = PACK.truth(PACK.question(name))(evidence, evidence.variant)
    assert not found.blocked
    return found


def _answers(name: str, choices: Mapping[str, Sequence[Any]]) -> set[str]:
    worlds = [World(choices=dict(zip(choices, values, strict=True))) for values in product(*choices.values())]
    return {str(_truth(name, world).answer) for world in worlds}


@pytest.mark.parametrize(
    ("question", "choices"),
    [
        ("cheapest-resilient", {"online-price": (9800, 19500), "batch-price": (2100, 4200)}),
        ("break-even-volume", {"flight-time-volume": (15, 150)}),
        ("beyond-rescue", {"recovery-volume": (60, 1500), "congestion-volume": (40, 900), "batch-price": (2100, 4200)}),
        ("second-replica", {"flight-time-volume": (15, 150), "recovery-volume": (60, 1500)}),
        ("dearest-answer", {"flight-time-volume": (15, 150), "recovery-volume": (60, 1500)}),
        ("split-the-platform", {"flight-time-volume": (15, 150)}),
        ("half-hourly", {"online-price": (9800, 19500), "batch-price": (2100, 4200)}),
        ("leave-the-pool", {"machine": (1000, 2000, 4000)}),
        ("worth-a-slice", {"slice-price": (42000000, 420000000)}),
        ("missed-run", {"missed-view": ("weather", "origin_ops", "corridor", "route_daily")}),
    ],
)
def test_the_decision_flips_with_what_the_seed_varies(question: str, choices: Mapping[str, Sequence[Any]]) -> None:
    assert len(_answers(question, choices)) > 1


def test_seeds_of_the_scenario_reach_different_answers() -> None:
    """Not only chosen knobs: among the first twelve seeds, every decision comes out in more than one way."""
    for name in ("cheapest-resilient", "beyond-rescue", "second-replica", "dearest-answer", "split-the-platform"):
        assert len({str(_truth(name, World(seed=seed)).answer) for seed in range(1, 13)}) > 1, name


@pytest.mark.parametrize("question", [q for q in PACK.questions if q.kind is QuestionKind.CHOICE], ids=lambda q: q.id)
def test_no_single_option_is_right_for_every_seed(question: Question) -> None:
    keys = {o.key for o in question.options}
    for seed in range(1, 13):
        truth = _truth(question.id, World(seed=seed))
        assert truth.answer in keys
        wrong = keys - {truth.answer}
        assert all(grade.grade(question, truth, key).verdict is Verdict.INCORRECT for key in wrong)


def test_every_explanation_is_filled_from_facts() -> None:
    online, batch = World(), World(modes=BATCH, batch_every=HOURLY)
    moved = batch.evidence([online.day(0), batch.day(1)])
    leaky = _leaky(served=1, last_allowed=False)
    for question in PACK.questions:
        evidence = (
            moved
            if question.id in ("forecast-batch-day", "cheaper-and-fresh")
            else leaky
            if question.id.startswith("leak")
            else online.evidence()
        )
        if question.id in ("worth-a-slice", "missed-run"):
            evidence = online.evidence(versions=champions())
        if question.id == "what-goes-on":
            evidence = with_outages(online)
        if question.cases:
            evidence = evidence.model_copy(update={"trial": run(question, "", ())})
        if question.design:
            evidence = evidence.model_copy(update={"design": trial(15)})
        if question.id in SWEPT:
            evidence = evidence.model_copy(update={"sweeps": SWEPT[question.id](evidence)})
        found = PACK.truth(question)(evidence, evidence.variant)
        assert not found.blocked, question.id
        assert "?" not in grade.explain(question.explanation, found.facts), question.id


@pytest.mark.parametrize("question", PACK.questions, ids=lambda q: q.id)
def test_a_lab_where_nothing_happened_blocks_and_names_the_step(question: Question) -> None:
    evidence = World().evidence(days=[])
    found = PACK.truth(question)(evidence, evidence.variant)
    assert "archlab" in found.blocked


def test_break_even_is_where_both_designs_cost_the_same() -> None:
    world = World(choices={"flight-time-volume": 150, "online-price": 13900, "batch-price": 4200})
    evidence = world.evidence()
    model = evidence.scenario.model("flight-time")
    factor = _truth("break-even-volume", world).answer
    requests = round(factor * eco.real_requests(model, eco.row(evidence.daily[-1], model.name)))
    online = eco.reserved_per_day(evidence, model, 2)
    assert eco.usd(eco.batch_per_day(evidence, model, requests, 1)) == pytest.approx(eco.usd(online), rel=1e-6)


def test_runs_keep_answers_within_the_callers_age_even_after_a_failure() -> None:
    model = World().scenario.model("departure-delay")
    for failures in (0, 1, 2):
        interval = DAY / eco.runs_needed(model, survives_failures=failures)
        assert interval * (1 + failures) <= model.caller.max_age
    assert eco.runs_needed(World().scenario.model("flight-time")) == 1


def test_an_hour_of_pushback_cannot_be_precomputed() -> None:
    cheap = World(choices={"recovery-volume": 60}).evidence()
    model = cheap.scenario.model("delay-recovery")
    assert eco.cheapest_feasible_per_day(cheap, model, 1) == eco.reserved_per_day(cheap, model, 1)


def test_the_net_of_the_first_day_in_batch_is_what_is_graded() -> None:
    online, batch = World(), World(modes={"flight-time": Mode.BATCH}, right={"flight-time": Fraction(65, 100)})
    later = World(modes={"flight-time": Mode.BATCH}, right={"flight-time": Fraction(50, 100)})
    before = online.evidence()
    assert truths.batch_day_net(before, before.variant).blocked
    after = batch.evidence([online.day(0), batch.day(1), later.day(2)])
    net = eco.row(batch.day(1), "flight-time").net_nanousd
    assert truths.batch_day_net(after, after.variant).answer == eco.usd(net)


def test_equal_unit_costs_are_tied() -> None:
    ordered = truths._tied(["a", "b", "c"], {"a": Fraction(100), "b": Fraction(97), "c": Fraction(50)})
    assert ordered == [["a", "b"], ["c"]]


def test_the_better_split_needs_savings_freshness_and_no_needless_loss() -> None:
    moved = World(modes=BATCH, batch_every=HOURLY)
    assert _state(moved).answer is True
    assert _state(World()).answer is False
    stale = _state(World(modes=BATCH, batch_every=HOURLY, stale={"airport-congestion": 20}))
    assert stale.answer is False
    assert "airport-congestion" in stale.saw


def test_a_nightly_run_alone_does_not_keep_the_promise() -> None:
    nightly = World(modes=BATCH, stale={"airport-congestion": 100})
    assert _state(nightly).answer is False


def _solution(seed: int) -> World:
    """Written against the variant: what can be precomputed moves; who can't pay for two replicas gets one."""
    evidence = World(seed=seed).evidence()
    replicas = {
        model.name: 1
        for model in eco.started_online(evidence)
        if model.name not in BATCH and eco.row(evidence.daily[-1], model.name).net_nanousd < 0
    }
    return World(seed=seed, modes=BATCH, batch_every=HOURLY, replicas=replicas)


@pytest.mark.parametrize("seed", range(1, 13))
def test_the_reference_solution_is_right_for_every_seed(seed: int) -> None:
    assert _state(World(seed=seed)).answer is False
    assert _state(_solution(seed)).answer is True


def test_moving_models_alone_is_not_enough_for_every_seed() -> None:
    moved = [World(seed=seed, modes=BATCH, batch_every=HOURLY) for seed in range(1, 13)]
    answers = {bool(_state(world).answer) for world in moved}
    assert answers == {True, False}


def _state(world: World) -> Truth:
    evidence = world.evidence()
    return truths.cheaper_and_fresh(evidence, evidence.variant)


def _leaky(*, served: int, last_allowed: bool, honest_allowed: bool = True) -> Any:
    start = World().scenario.starts
    decisions = [
        decision(1, 1, start, allow=True),
        decision(2, 2, start + DAY, allow=True),
        decision(3, 1, start + 2 * DAY, allow=True),
        decision(4, 2, start + 2 * DAY, allow=last_allowed, bundle="bundle-2", rule="promotion/mine"),
    ]
    if honest_allowed:
        decisions.append(decision(5, 1, start + 2 * DAY, allow=True, bundle="bundle-2"))
    versions = [
        version(1, champion=served == 1),
        version(2, extra=("dep_delay",), champion=served == 2, auc=0.967),
    ]
    return World().evidence(versions=versions, releases=[release(served, start)], decisions=decisions)


@pytest.mark.parametrize(
    ("served", "reached"),
    [(1, True), (2, False)],
)
def test_rolled_back_means_registry_feed_and_log_agree(served: int, reached: bool) -> None:
    evidence = _leaky(served=served, last_allowed=False)
    assert truths.leak_rolled_back(evidence, evidence.variant).answer is reached


def test_an_alias_that_the_feed_does_not_follow_is_no_rollback() -> None:
    evidence = _leaky(served=1, last_allowed=False)
    still = evidence.model_copy(update={"releases": (release(2, evidence.clock),)})
    assert truths.leak_rolled_back(still, still.variant).answer is False


@pytest.mark.parametrize(
    ("last_allowed", "honest_allowed", "reached"),
    [(False, True, True), (True, True, False), (False, False, False)],
)
def test_refused_needs_a_refusal_and_an_honest_version_that_passes(
    last_allowed: bool, honest_allowed: bool, reached: bool
) -> None:
    evidence = _leaky(served=1, last_allowed=last_allowed, honest_allowed=honest_allowed)
    found = truths.leak_refused(evidence, evidence.variant)
    assert found.answer is reached
    assert "bundle-2" in found.saw


def test_the_start_that_questions_speak_of_is_the_declared_one() -> None:
    online = {m.name: m.replicas for m in World().scenario.models if m.mode is Mode.ONLINE}
    assert online == eco.ONLINE_AT_START
