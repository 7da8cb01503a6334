"""What an outage means for tiers: by hand from the scenario's own figures."""

from __future__ import annotations

import pytest

from archlab.drills.tiers import ASKED_PER_DAY, TierFigure, of
from archlab.spec.drill import Kind
from archlab.spec.regions import Tier
from drill_reports import measured, report


def figures(tier: Tier, **changes: object) -> dict[str, TierFigure]:
    about = changes.pop("about", Kind.WRITE)
    found = next(one for one in of(report(measured(**changes), about=about)) if one.tier is tier)
    return {figure.name: figure for figure in found.figures}


def test_measured_is_held_against_what_each_tier_asks() -> None:
    critical, best = figures(Tier.CRITICAL, rto_s=6.0), figures(Tier.BEST_EFFORT, rto_s=6.0)
    assert (critical["RTO, writes"].value, critical["RTO, writes"].missed) == ("6.00 s", True)
    assert critical["RTO, writes"].objective == "5 s"
    assert (critical["RTO, answers"].value, critical["RTO, answers"].missed) == ("1.10 s", False)
    assert critical["RPO"].missed is False
    assert "RTO, writes" not in best, "no part of the platform is in it"
    assert best["RTO, answers"].objective == "300 s"
    assert {f.basis for f in critical.values() if f.objective} == {"measured"}
    lost = figures(Tier.CRITICAL, rpo_s=0.5, lost=(1,))
    assert (lost["RPO"].value, lost["RPO"].missed) == ("0.50 s", True)


def test_what_an_outage_costs_is_modelled_and_says_from_what() -> None:
    critical = figures(Tier.CRITICAL, read_rto_s=25.92)
    budget, value, cost = (critical[name] for name in ("error budget burnt", "value lost", "cost of warm-standby"))
    assert budget.value == "1 %", "of the 2,592 s that 99.9 % leaves in 30 days"
    assert "99.9%" in budget.source
    asked = ASKED_PER_DAY["flight-scheduled"] * 200 * 25.92 / 86_400
    assert value.value == f"{asked * 300_000_000 / 1e9:,.4f} USD"
    cores = (250 + 500 + 100 + 500) / 1000
    assert cost.value == f"{cores * 30 * 86_400 * 13_900 / 1e9:,.2f} USD in 30 days"
    assert {f.basis for f in (budget, value, cost)} == {"modelled"}


@pytest.mark.parametrize(("about", "source"), [(Kind.PREDICT, "predictions"), (Kind.PROMOTE, "reads")])
def test_where_a_drill_asks_a_model_its_answers_count(about: Kind, source: str) -> None:
    found = figures(Tier.CRITICAL, about=about, rto_s=3.0, read_rto_s=0.0)
    assert source in found["RTO, answers"].source
    assert found["RTO, answers"].value == ("3.00 s" if about is Kind.PREDICT else "0.00 s")
    assert "RTO, writes" not in found, "nobody measured how long writes failed"


def test_what_never_came_back_has_no_price() -> None:
    found = figures(Tier.CRITICAL, read_rto_s=None, rto_s=None, rpo_s=None, lost=None)
    assert (found["RTO, answers"].value, found["RTO, answers"].missed) == ("never", True)
    assert (found["RPO"].value, found["RPO"].missed) == ("unknown", True)
    assert found["value lost"].value == "unknown: it never came back"
    assert of(report(None)) == ()
