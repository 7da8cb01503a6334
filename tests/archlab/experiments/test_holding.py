"""Designs beside a noisy team: what the others felt decides, whatever was set."""

from __future__ import annotations

from fractions import Fraction

import pytest

from archlab.experiments.holding import felt, held
from archlab.experiments.scoring import judge, score, too_slow
from archlab.spec.experiments import DesignRun, DesignTrial, Load, Noise, NoiseFigures
from archlab.spec.tenancy import Isolation
from synthetic import World
from trials import load, run, trial

SCENARIO = World().scenario
PROMISED_MS = SCENARIO.model("departure-delay").slo.p99_ms


def beside(
    isolation: Isolation, typical_ms: float = 40, *, slow_ms: float = 100, failures: int = 0, requests: int = 1000
) -> Load:
    """A load of departure-delay beside a revenue that was kept apart so; a thousand requests."""
    loud = NoiseFigures(offered_per_s=100, rows=3413, answered_per_s=50, failures=0, requests=requests, p50_ms=5)
    quiet = load("departure-delay", failures=failures)
    model = quiet.models[0].model_copy(update={"p50_ms": typical_ms, "p95_ms": slow_ms, "p99_ms": 2 * slow_ms})
    noise = Noise(team="revenue", isolation=isolation, figures=loud if requests else None)
    return quiet.model_copy(update={"noise": noise, "models": (model,)})


def measured(ours: tuple[Load, ...], reference: tuple[Load, ...] = (), free: tuple[Load, ...] = ()) -> DesignTrial:
    """Ours nets 22, the reference 20, nothing between 20 as well and servers for all 4."""
    made = trial(22, naive=(20, 4), loads=ours)
    nothing, servers = made.naive
    update = {
        "reference": made.reference.model_copy(update={"loads": reference or (beside(Isolation.SHARE),)}),
        "naive": (
            nothing.model_copy(update={"loads": free or (beside(Isolation.NONE, 400, slow_ms=2000),)}),
            servers.model_copy(update={"loads": (beside(Isolation.POOL),)}),
        ),
    }
    return made.model_copy(update=update)


def share_of(made: DesignTrial) -> float | None:
    found = score(made, SCENARIO).share
    return None if found is None else float(found)


@pytest.mark.parametrize("isolation", list(Isolation))
@pytest.mark.parametrize(("typical_ms", "share"), [(200, 1), (201, 0)])
def test_a_design_holds_the_noise_when_the_others_wait_half_as_long(
    isolation: Isolation, typical_ms: float, share: float
) -> None:
    """A share or servers that did not help earn no more than nothing; what helped is not asked how."""
    assert share_of(measured((beside(isolation, typical_ms),))) == share


@pytest.mark.parametrize(("failures", "share"), [(450, 0.5), (451, 0)])
def test_where_answers_were_missing_half_of_them_have_to_come(failures: int, share: float) -> None:
    """Waiting is not compared then: of what nothing between answered, only the fastest is known."""
    free = (beside(Isolation.NONE, 400, failures=900),)
    assert share_of(measured((beside(Isolation.SHARE, 3000, failures=failures),), free=free)) == share


@pytest.mark.parametrize(("failures", "share"), [(50, 1), (51, 0)])
def test_fast_refusals_of_the_others_hold_nothing(failures: int, share: float) -> None:
    assert share_of(measured((beside(Isolation.SHARE, 2, failures=failures),))) == share


def test_a_team_without_anything_online_is_held() -> None:
    assert share_of(measured((beside(Isolation.NONE, 900, requests=0),))) == 1


SLOW = beside(Isolation.POOL, 40, slow_ms=PROMISED_MS + 1)
FEW = SLOW.model_copy(update={"models": (SLOW.models[0].model_copy(update={"requests": 19}),)})


@pytest.mark.parametrize(
    ("loads", "share"),
    [
        ((SLOW,) * 3, 0.5),
        ((SLOW,) * 2, 1),
        ((FEW,) * 3, 1),
        ((beside(Isolation.POOL, 40, slow_ms=PROMISED_MS),) * 3, 1),
        ((SLOW, SLOW, beside(Isolation.POOL, 40, slow_ms=20)), 1),
    ],
)
def test_the_others_promised_latency_is_judged_beside_noise(loads: tuple[Load, ...], share: float) -> None:
    assert share_of(measured(loads)) == share


def test_what_the_reference_could_not_keep_beside_noise_is_the_machines() -> None:
    assert share_of(measured((SLOW,) * 3, reference=(SLOW,) * 3)) == 1


def test_a_load_beside_noise_that_is_slow_asks_for_more() -> None:
    assert too_slow(SLOW, SCENARIO)
    assert not too_slow(FEW, SCENARIO)
    assert not too_slow(beside(Isolation.POOL, slow_ms=PROMISED_MS), SCENARIO)


def test_nothing_between_is_no_yardstick_though_it_nets_as_much_as_the_reference() -> None:
    """Servers for all broke their latency as well, but held: they are zero, not what let the noise through."""
    made = measured((beside(Isolation.SHARE),))
    nothing, servers = made.naive
    servers = servers.model_copy(update={"loads": (SLOW,) * 3})
    assert share_of(made.model_copy(update={"naive": (nothing, servers)})) == 1


def test_a_trial_whose_reference_did_not_hold_is_not_graded() -> None:
    made = measured((beside(Isolation.SHARE),), reference=(beside(Isolation.SHARE, 390),))
    found = judge(World().evidence().model_copy(update={"design": made}))
    assert found.answer is None
    assert "The reference did not hold revenue" in found.saw
    assert "typically after 390 ms" in found.saw


def test_what_did_not_hold_is_named_and_what_was_felt_is_shown() -> None:
    made = measured((beside(Isolation.POOL, 300, slow_ms=1500),))
    assert score(made, SCENARIO).broken == ("it did not hold revenue, which was the noisy one",)
    found = judge(World().evidence().model_copy(update={"design": made}))
    assert found.facts["noisy"] == "revenue"
    assert "revenue asked 100 times a second, 3,413 rows each time." in found.saw
    assert "| yours | 100.0% | 300 | 1,500 |" in found.saw
    assert "| naive-0 | 100.0% | 400 | 2,000 |" in found.saw


def test_what_the_others_felt_is_over_all_loads() -> None:
    both = run("both", 1, (beside(Isolation.SHARE, 10, failures=30), beside(Isolation.SHARE, 30)))
    assert (felt(both).unanswered, felt(both).typical_ms) == (Fraction(3, 200), 20)


def test_without_a_design_with_nothing_between_there_is_nothing_to_compare_with() -> None:
    made = trial(22, loads=(beside(Isolation.NONE, 900),))
    assert held(made.submitted, made)
    quiet: DesignRun = made.naive[0]
    assert held(quiet, made)
