"""What is sent to whom, and what the figures of a measurement say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.errors import ArchlabError, NotFoundError, UserError
from archlab.experiments.disturbance import outcomes, rows, void
from archlab.experiments.neighbours import (
    BODIES,
    ENOUGH,
    MOST_PER_S,
    PRESSURE,
    Loudness,
    check,
    mix,
    noise_figures,
    rows_for,
    widened,
)
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.spec.experiments import NoiseFigures
from archlab.spec.neighbours import CONTROL, NeighbourReport, NeighbourRun, TeamFigures
from archlab.spec.scenario import Mode, Scenario
from archlab_serving.settings import MAX_ROWS


@pytest.fixture(scope="module")
def five_teams() -> Scenario:
    return load_scenario(scenario_folder("five-teams") / "scenario.yaml")


def body(number: int) -> str:
    route = {"name": "route", "datatype": "BYTES", "shape": [1], "data": [f"JFK-{number}"]}
    hour = {"name": "hour", "datatype": "FP32", "shape": [1], "data": [number]}
    return json.dumps({"id": f"r-{number}", "inputs": [route, hour]})


def test_noise_has_the_real_requests_in_turn_as_rows() -> None:
    made = [json.loads(text) for text in widened([body(n) for n in range(5)], 7)]
    assert len(made) == BODIES
    first, second = made[0]["inputs"], made[1]["inputs"]
    assert [t["shape"] for t in first] == [[7], [7]]
    assert first[1]["data"] == [0, 1, 2, 3, 4, 0, 1]
    assert second[1]["data"] == [2, 3, 4, 0, 1, 2, 3]
    assert second[0]["data"] == [f"JFK-{n}" for n in second[1]["data"]]
    (one, *_) = widened([body(0)], 1)
    assert json.loads(one)["inputs"] == json.loads(body(0))["inputs"]


def test_each_other_team_asks_as_much_whatever_it_has() -> None:
    models = [
        {"name": "a", "team": "ops", "weight": 999},
        {"name": "b", "team": "ops", "weight": 1},
        {"name": "c", "team": "care", "weight": 5},
        {"name": "tabled", "team": "care", "weight": 5},
        {"name": "loud", "team": "revenue", "weight": 5},
    ]
    found = mix(models, {"a", "b", "c", "loud"}, "revenue")
    assert {m["name"]: m["weight"] for m in found} == {"a": 30, "b": 30, "c": 60}


def test_noise_leaves_out_requests_that_lack_a_key() -> None:
    bodies = [body(n) for n in range(3)]
    lacking = json.loads(bodies[1])
    del lacking["inputs"][0]
    (first, *_) = [json.loads(text) for text in widened([bodies[0], json.dumps(lacking), bodies[2]], 4)]
    assert [t["name"] for t in first["inputs"]] == ["route", "hour"]
    assert first["inputs"][1]["data"] == [0, 2, 0, 2]


def test_what_was_refused_by_a_limit_or_a_share_is_told_from_what_failed() -> None:
    counted = {"requests": 100, "failures": 50, "limited": 40, "p50_ms": 3.0, "reasons": {"HTTP 504: in time": 10}}
    loud = Loudness(3000, 30.0)
    found = noise_figures({"seconds": 10.0, "teams": {"revenue": counted}}, "revenue", loud)
    assert (found.limited, found.failures, found.answered_per_s) == (40, 50, 5.0)
    assert (found.rows, found.offered_per_s) == (3000, 30.0)
    with pytest.raises(ArchlabError, match="sent nothing"):
        noise_figures({"seconds": 10.0, "teams": {}}, "revenue", loud)
    del counted["limited"]
    with pytest.raises(ArchlabError, match="how many requests got a 429"):
        noise_figures({"seconds": 10.0, "teams": {"revenue": counted}}, "revenue", loud)


@pytest.mark.parametrize(
    ("rows", "needed_per_s", "more"),
    [
        (2048, 90, 2048),
        (2048, MOST_PER_S, 2048),
        (2048, 1.5 * MOST_PER_S, 3072),
        (2048, 40 * MOST_PER_S, MAX_ROWS),
        (MAX_ROWS, 9 * MOST_PER_S, MAX_ROWS),
        (1, 1.2 * MOST_PER_S, 2),
    ],
)
def test_cheap_requests_get_more_rows_where_one_generator_can_not_send_enough(
    rows: int, needed_per_s: float, more: int
) -> None:
    assert rows_for(rows, needed_per_s) == more


@given(st.integers(1, MAX_ROWS), st.floats(1e-6, 0.1), st.floats(0, 1e-4))
def test_rows_grow_until_the_noise_is_enough_or_servers_take_no_more(rows: int, fixed_s: float, row_s: float) -> None:
    asked = rows
    for _ in range(100):
        needed = PRESSURE / (fixed_s + row_s * rows)
        if (more := rows_for(rows, needed)) == rows:
            break
        assert more > rows
        rows = more
    assert rows_for(rows, needed) == rows
    assert asked <= rows <= MAX_ROWS
    assert rows == MAX_ROWS or needed <= ENOUGH * MOST_PER_S


def test_who_can_be_made_noisy(five_teams: Scenario) -> None:
    check(five_teams, "revenue")
    with pytest.raises(NotFoundError, match="There is no team 'sales'"):
        check(five_teams, "sales")
    with pytest.raises(UserError, match="platform has no online model"):
        check(five_teams, "platform")
    alone = tuple(m.model_copy(update={"mode": Mode.BATCH}) if m.team != "revenue" else m for m in five_teams.models)
    with pytest.raises(UserError, match="nobody to disturb"):
        check(five_teams.model_copy(update={"models": alone}), "revenue")


def figures(p99_ms: float, failures: int = 0, per_second: float = 40) -> TeamFigures:
    return TeamFigures(requests=400, failures=failures, per_second=per_second, p50_ms=2, p99_ms=p99_ms)


def run(design: str, number: int, before: float, during: float, after: float, failures: int = 0) -> NeighbourRun:
    """Two victims; `care` is never disturbed."""
    noise = NoiseFigures(offered_per_s=100, answered_per_s=60 + number, failures=25, requests=100, p50_ms=3)
    return NeighbourRun(
        design=design,
        round=number,
        before={"ops": figures(before), "care": figures(10)},
        during={"ops": figures(during, failures, 30), "care": figures(10)},
        after={"ops": figures(after), "care": figures(10)},
        noise=None if design == CONTROL else noise,
    )


def report(*runs: NeighbourRun) -> NeighbourReport:
    return NeighbourReport(
        lab="lab",
        scenario="five-teams",
        seed=1,
        team="revenue",
        rows=2048,
        offered_per_s=100,
        victims_per_s=40,
        seconds=8,
        runs=runs,
        held_nanousd={"none": {"ops": 5, "care": 6}, "pool": {"ops": 9, "care": 12}},
        taken=datetime(2026, 11, 26, tzinfo=UTC),
        took_s=1,
    )


def test_a_design_is_judged_by_ratios_within_a_run_and_its_worst_victim() -> None:
    found = report(
        *(run(CONTROL, n, 10, 11, 10) for n in (1, 2, 3)),
        run("none", 1, 10, 100, 10, failures=40),
        run("none", 2, 20, 800, 20, failures=80),
        run("none", 3, 10, 200, 30),
        *(run("pool", n, 10, 12, 10) for n in (1, 2, 3)),
    )
    row = next(r for r in rows(found) if (r.design, r.team) == ("none", "ops"))
    assert (row.worse.median, row.worse.least, row.worse.most) == (20, 10, 40)
    assert (row.after.median, row.after.most) == (1, 3)
    assert row.errors == 0.1
    assert row.throughput.median == 0.75
    control, none, pool = outcomes(found)
    assert [o.worst.team for o in (control, none)] == ["ops", "ops"]
    assert (none.held_nanousd, pool.held_nanousd, control.held_nanousd) == (11, 21, None)
    assert none.noise_answered_per_s is not None
    assert none.noise_answered_per_s.median == 62
    assert none.noise_refused == 0.25
    assert control.noise_answered_per_s is None
    assert void(found) == ""


def test_nothing_follows_from_a_control_that_moved() -> None:
    found = report(*(run(CONTROL, n, 10, during, 10) for n, during in ((1, 30), (2, 25), (3, 10))))
    assert void(found) == "without any noise the p99 of ops grew 2.5 times: the machine was busy"
    one_stall = report(*(run(CONTROL, n, 10, during, 10) for n, during in ((1, 300), (2, 11), (3, 10))))
    assert void(one_stall) == ""


def test_a_report_survives_its_file() -> None:
    found = report(run("none", 1, 10, 100, 10))
    assert NeighbourReport.model_validate_json(found.model_dump_json()) == found
