"""Capacity questions: whole machines, half hours, views that a missed run makes too old."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab_scenarios.ten_models import capacity
from synthetic import World, champions


def _stale(view: str) -> list[str]:
    evidence = World(choices={"missed-view": view}).evidence(versions=champions())
    found = capacity.missed_run(evidence, evidence.variant)
    return list(found.answer)


def test_a_missed_run_matters_only_to_those_who_read_the_view_and_promised_freshness() -> None:
    hourly = {"departure-delay", "missed-connection", "arrival-delay", "delay-recovery", "airport-congestion"}
    assert set(_stale("weather")) == hourly
    assert _stale("origin_ops") == ["none"]
    assert _stale("corridor") == ["arrival-delay", "delay-recovery"]
    assert "flight-time" not in _stale("route_daily")


def test_a_view_whose_interval_was_changed_is_not_asked_about() -> None:
    evidence = World(choices={"missed-view": "weather"}).evidence(versions=champions())
    changed = evidence.overrides.model_copy(update={"feature_every": {"weather": timedelta(hours=2)}})
    found = capacity.missed_run(evidence.model_copy(update={"overrides": changed}), evidence.variant)
    assert "archlab" in found.blocked


@pytest.mark.parametrize(("machine", "answer"), [(1000, "less"), (2000, "more"), (4000, "nothing")])
def test_what_leaving_saves_comes_in_whole_machines(machine: int, answer: str) -> None:
    evidence = World(choices={"machine": machine}).evidence()
    assert capacity.leave_the_pool(evidence, evidence.variant).answer == answer


@given(st.lists(st.sampled_from([250, 500, 750, 1000]), min_size=1, max_size=7))
def test_packing_needs_no_fewer_than_the_sum_and_no_more_than_one_each(needs: list[int]) -> None:
    model = World().scenario.models[0]
    found = capacity.machines([model.model_copy(update={"cpu_millicores": need}) for need in needs], 1000)
    assert -(-sum(needs) // 1000) <= found <= len(needs)
    assert found >= sum(need > 500 for need in needs)


def test_what_is_asked_at_pushback_is_never_precomputed() -> None:
    cheap = World(choices={"online-price": 19500, "batch-price": 2100, "recovery-volume": 60}).evidence()
    found = capacity.half_hourly(cheap, cheap.variant)
    assert not {"arrival-delay", "delay-recovery"} & set(found.answer)


def test_only_what_gains_and_earns_is_worth_a_slice() -> None:
    for price, answer in ((42_000_000, ["arrival-delay"]), (420_000_000, ["none"])):
        evidence = World(choices={"slice-price": price}).evidence(versions=champions())
        assert capacity.worth_a_slice(evidence, evidence.variant).answer == answer
