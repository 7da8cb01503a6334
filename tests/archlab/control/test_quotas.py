"""Requests of the business day, counted as the business counts them, and who is closed by them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from archlab.control import bill, clock
from archlab.control.quotas import closed, requests_today
from archlab.control.scores import scoreboard
from archlab.control.store import Store
from archlab.control.times import to_us
from archlab.spec.scenario import Scenario
from archlab.spec.tenancy import Quotas


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "control.db")
    yield made
    made.close()


def answered(store: Store, model: str, asked: datetime, count: int, status: int = 200) -> None:
    with store.write() as db:
        for number in range(count):
            row = (
                f"{model}/{asked}/{status}/{number}",
                model,
                "1",
                "s",
                to_us(asked),
                0.5,
                None,
                1.0,
                "on_time" if status == 200 else "missing",
                status,
            )
            db.execute("INSERT INTO answers VALUES (?,?,?,?,?,?,?,?,?,?)", row)


def test_refusals_are_counted_apart_from_what_is_missing_otherwise(store: Store, scenario: Scenario) -> None:
    clock.start(store, scenario)
    bill.prepare(store)
    asked = scenario.starts + timedelta(hours=1)
    answered(store, "departure-delay", asked, 5)
    answered(store, "departure-delay", asked, 4, status=429)
    answered(store, "departure-delay", asked, 2, status=503)
    with store.write() as db:
        clock.move(db, scenario.starts + timedelta(days=1))
        found = scoreboard(db, scenario, {})
    assert {m.model: (m.requests, m.limited) for m in found.models if m.requests} == {"departure-delay": (11, 4)}


def test_a_day_begins_when_the_scenario_does_and_refused_ones_are_not_counted(store: Store, scenario: Scenario) -> None:
    day = scenario.starts + timedelta(days=1)
    stands_for = scenario.model("departure-delay").caller.represents
    team = scenario.model("departure-delay").team
    answered(store, "departure-delay", day, 5)
    answered(store, "departure-delay", day + timedelta(hours=1), 3)
    answered(store, "departure-delay", day + timedelta(hours=2), 4, status=429)
    answered(store, "departure-delay", day + timedelta(hours=23), 2)
    nobody = {m.team: 0 for m in scenario.models}
    with store.read() as db:
        assert requests_today(db, scenario, day + timedelta(hours=3)) == nobody | {team: 3 * stands_for}
        assert requests_today(db, scenario, day) == nobody


def quoted(scenario: Scenario, *, borrow: bool) -> Scenario:
    quotas = {"operations": 100, "revenue": 50}
    teams = tuple(t.model_copy(update={"quotas": Quotas(requests_per_day=quotas.get(t.name))}) for t in scenario.teams)
    return scenario.model_copy(update={"teams": teams, "borrow_quotas": borrow})


def test_a_used_up_quota_closes_its_team_and_says_who_can_raise_it(scenario: Scenario) -> None:
    alone = quoted(scenario, borrow=False)
    assert closed(alone, {"operations": 99, "revenue": 0}) == {}
    said = closed(alone, {"operations": 100, "revenue": 0})
    assert set(said) == {"operations"}
    assert "asked 100 times today, its quota is 100; an operator can raise it" in said["operations"]


def test_with_borrowing_a_team_goes_on_while_others_leave_some(scenario: Scenario) -> None:
    shared = quoted(scenario, borrow=True)
    assert closed(shared, {"operations": 140, "revenue": 0}) == {}
    assert set(closed(shared, {"operations": 150, "revenue": 0})) == {"operations"}, "what is one's own stays so"
    assert set(closed(shared, {"operations": 140, "revenue": 20})) == {"operations"}
