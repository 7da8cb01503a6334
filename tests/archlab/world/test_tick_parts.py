"""The pure parts of a tick: what is due, what is fresh, what is metered, what is the same."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.errors import UserError
from archlab.ledger.lines import lines, overflow
from archlab.plan.inventory import inventory
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.placement import Facts
from archlab.plan.resolve import override
from archlab.settings import scenarios_root
from archlab.spec.airline import Answer, Label, Timeliness
from archlab.spec.business import Ask, ModelCard
from archlab.spec.devices import Device, DeviceBasis, Gain
from archlab.spec.grading import BatchRun
from archlab.spec.money import Basis, LineKind, Resource, UsageKind
from archlab.spec.release import Column, FeatureSnapshot, ViewSnapshot
from archlab.spec.scenario import Mode, ModelOverride, Overrides, Scenario
from archlab.world.batching import due_runs
from archlab.world.calling import Question, World, judge
from archlab.world.digest import tick_digest
from archlab.world.freshness import cadence
from archlab.world.metering import Interval, Meter, device_milliseconds, read_meters, taken, usage
from archlab.world.schedule import batch_due, ticks

START = datetime(2013, 12, 2, 8, tzinfo=UTC)
TICK = timedelta(minutes=30)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")


def test_ticks_cover_the_span() -> None:
    found = ticks(START, START + DAY, TICK)
    assert len(found) == 48
    assert found[0] == (START, START + TICK)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("until", [START, START - DAY, START + timedelta(minutes=45)])
def test_a_span_that_is_no_ticks_is_refused(until: datetime) -> None:
    with pytest.raises(UserError):
        ticks(START, until, TICK)


@given(
    st.sampled_from([timedelta(minutes=30), HOUR, 6 * HOUR, 8 * HOUR, DAY]),
    st.integers(0, 47),
    st.integers(1, 5),
)
def test_no_batch_run_is_missed_or_made_twice(every: timedelta, first: int, days: int) -> None:
    model = load().model("route-segments").model_copy(update={"batch_every": every})
    begin = START + first * TICK
    due = [batch_due(model, start - TICK, start) for start, _ in ticks(begin, begin + days * DAY, TICK)]
    made = [moment for moment in due if moment is not None]
    assert len(made) == days * DAY // every
    assert all(b - a == every for a, b in itertools.pairwise(made))
    assert all((m - START) % every == timedelta() for m in made)


def test_a_run_every_other_day_is_made_every_other_day() -> None:
    model = load().model("route-segments").model_copy(update={"batch_every": 2 * DAY})
    due = [batch_due(model, start - TICK, start) for start, _ in ticks(START, START + 6 * DAY, TICK)]
    made = [moment for moment in due if moment is not None]
    assert len(made) == 3
    assert {b - a for a, b in itertools.pairwise(made)} == {2 * DAY}


def test_only_batch_models_fall_due_and_what_was_made_is_not_made_again(scenario: Scenario) -> None:
    spans = ticks(START, START + DAY + TICK, TICK)
    batch = [m.name for m in scenario.models if m.mode is Mode.BATCH]
    made = BatchRun(id="r", model=batch[0], version="1", business_time=START, rows=1, path="p")
    due = due_runs(scenario, spans, [made])
    assert due[START] == [(name, START) for name in batch[1:]]
    assert due[START + DAY] == [(name, START + DAY) for name in batch]
    assert sum(map(len, due.values())) == 2 * len(batch) - 1


def load() -> Scenario:
    return load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")


# answers


def world(scenario: Scenario, **materialized: datetime) -> World:
    views = tuple(
        ViewSnapshot(view=name, sha256="0" * 64, path="p", rows=1, materialized=when)
        for name, when in sorted(materialized.items())
    )
    card = ModelCard(
        name="departure-delay",
        title="t",
        target="t",
        algorithm="a",
        kind="classification",
        feature_service="s",
        columns=tuple(Column(name=s, source=s) for s in ("request", "origin_ops", "carrier_daily")),
        keys=("origin",),
        table_keys=("origin",),
        metric="auc",
        higher_is_better=True,
        baseline="b",
    )
    snapshot = FeatureSnapshot(sequence=3, business_time=START, views=views)
    return World({card.name: card}, cadence(scenario), snapshot, feed_sequence=1)


def answer(
    scenario: Scenario,
    *,
    age: timedelta = TICK,
    daily_age: timedelta = TICK,
    latency_ms: float = 5,
    status: int = 200,
    prediction: float | None = 0.25,
    release: str = "departure-delay:2",
) -> Answer:
    asked = START + DAY
    question = Question(
        scenario.model("departure-delay"), Ask(subject="f1", asked=asked, keys={"origin": "JFK"}, columns={})
    )
    said = {
        "outputs": [{"name": "prediction", "datatype": "FP32", "shape": [1, 1], "data": [prediction]}],
        "parameters": {"model_version": "2", "release": release, "features_as_of": (asked - age).isoformat()},
    }
    around = world(scenario, origin_ops=asked - age, carrier_daily=asked - daily_age, corridor=START - 9 * DAY)
    return judge(question, around, status, orjson.dumps(said), latency_ms)


def test_an_answer_in_time(scenario: Scenario) -> None:
    got = answer(scenario)
    assert (got.timeliness, got.prediction, got.version) == (Timeliness.ON_TIME, 0.25, "2")
    assert got.request_id == "departure-delay/f1/2013-12-03T08:00:00Z"


@pytest.mark.parametrize(
    ("age", "daily_age", "expected"),
    [
        (HOUR, DAY, Timeliness.ON_TIME),
        (HOUR + TICK, TICK, Timeliness.STALE),
        (TICK, DAY + TICK, Timeliness.STALE),
    ],
)
def test_features_are_stale_by_the_callers_measure_or_their_own_cadence(
    scenario: Scenario, age: timedelta, daily_age: timedelta, expected: Timeliness
) -> None:
    assert answer(scenario, age=age, daily_age=daily_age).timeliness is expected


def test_a_view_that_the_learner_renews_less_often_is_not_excused(scenario: Scenario) -> None:
    lazy = override(scenario, Overrides(feature_every={"origin_ops": 6 * HOUR}))
    around = world(scenario, origin_ops=START + DAY - 5 * HOUR)
    assert around.cadence != cadence(lazy)
    assert answer(scenario, age=5 * HOUR).timeliness is Timeliness.STALE


def test_a_precomputed_answer_is_as_old_as_its_run(scenario: Scenario) -> None:
    table = "departure-delay:2:run-1"
    assert answer(scenario, age=HOUR, release=table, daily_age=9 * DAY).timeliness is Timeliness.ON_TIME
    assert answer(scenario, age=HOUR + TICK, release=table).timeliness is Timeliness.STALE


def test_missing_comes_before_stale_and_stale_before_late(scenario: Scenario) -> None:
    assert answer(scenario, latency_ms=300.1).timeliness is Timeliness.LATE
    assert answer(scenario, latency_ms=9999, age=DAY).timeliness is Timeliness.STALE
    assert answer(scenario, latency_ms=9999, age=DAY, prediction=None).timeliness is Timeliness.MISSING
    assert answer(scenario, status=503).timeliness is Timeliness.MISSING


def test_the_digest_is_of_what_was_answered_not_how_fast(scenario: Scenario) -> None:
    label = Label(model="m", subject="f1", asked=START, known=START + DAY, actual=1, baseline=None)
    same = tick_digest([answer(scenario)], [label])
    assert tick_digest([answer(scenario, latency_ms=700)], [label]) == same
    others = [
        tick_digest([answer(scenario, prediction=0.26)], [label]),
        tick_digest([answer(scenario, age=2 * HOUR)], [label]),
        tick_digest([answer(scenario, status=404)], [label]),
        tick_digest([answer(scenario)], [label.model_copy(update={"actual": 0.0})]),
        tick_digest([answer(scenario)], []),
    ]
    assert len({same, *others}) == 6


# usage

TEXT = """# TYPE archlab_inference_cpu_seconds_total counter
archlab_inference_cpu_seconds_total{team="o",model="flight-time",version="1",unit="online",replica="0"} 1.5
archlab_inference_cpu_seconds_total{team="o",model="flight-time",version="2",unit="online",replica="0"} 0.25
archlab_inference_cpu_seconds_total{team="o",model="flight-time",version="1",unit="online",replica="1"} 2e-3
archlab_inference_cpu_seconds_created{team="o",model="flight-time",version="1",unit="online",replica="1"} 1.7e9
process_cpu_seconds_total{unit="online",replica="1"} 9
"""


def test_meters_add_up_versions_and_survive_a_restart() -> None:
    after = read_meters(TEXT)
    first, second = Meter("flight-time", "online", "0"), Meter("flight-time", "online", "1")
    assert after == {first: 1.75, second: 0.002}
    assert taken({first: 1.0, second: 5.0}, after) == {first: 0.75, second: 0.002}


def test_a_ticks_usage(scenario: Scenario) -> None:
    mixed = override(scenario, Overrides(models={"delay-recovery": ModelOverride(mode=Mode.BATCH)}))
    plan = layout("lab", scenario, 1, Overrides(models={"delay-recovery": ModelOverride(mode=Mode.BATCH)}))
    meters = {Meter("flight-time", "online", "0"): 0.5, Meter("delay-recovery", "online", "0"): 1.0}
    requests = Counter({"flight-time": 7, "delay-recovery": 3})
    found = usage(Interval(START, START + TICK), mixed, plan, meters, ["weather"], requests)
    assert len({u.id for u in found}) == len(found)
    by_resource = {r: [u for u in found if u.resource is r] for r in Resource}
    reserved = [u for u in by_resource[Resource.ONLINE_CPU] if u.kind is UsageKind.RESERVED]
    assert sum(u.quantity for u in reserved) == 1800 * sum(r.replicas * r.cpu_millicores for r in plan.reservations)
    (used,) = [u for u in by_resource[Resource.ONLINE_CPU] if u.kind is UsageKind.USED]
    assert used.quantity == 500 * scenario.model("flight-time").caller.represents
    (lookup,) = by_resource[Resource.LOOKUP]
    assert (lookup.model, lookup.quantity) == ("delay-recovery", 3 * 1500)
    (weather,) = by_resource[Resource.MATERIALIZE_CPU]
    assert (weather.unit, weather.quantity) == ("weather", 2000)
    (platform,) = by_resource[Resource.PLATFORM_CPU]
    assert platform.quantity == 1500 * 1800
    bill = lines(found, scenario.prices)
    assert {line.kind for line in bill if not line.model} == {LineKind.SHARED}
    assert overflow(found) == []


def test_a_device_is_paid_for_while_it_is_held(scenario: Scenario) -> None:
    gain = Gain(gains=True, basis="measured", because="it multiplies matrices")
    wish = Overrides(models={"arrival-delay": ModelOverride(device="on")})
    facts = Facts(inventory(scenario.devices, ()), {"arrival-delay": gain})
    plan = layout("lab", scenario, 1, wish, devices=facts)
    assert plan.devices
    held = {p.device: p for p in plan.devices.placements}
    found = usage(Interval(START, START + TICK), scenario, plan, {}, [], Counter())
    by_resource = {u.resource: u for u in found if u.resource in (Resource.DEVICE, Resource.DEVICE_SLICE)}
    share, part = by_resource[Resource.DEVICE], by_resource[Resource.DEVICE_SLICE]
    assert share.quantity == -(-1_800_000 * 512 // 23_034)
    assert part.quantity == 1_800_000
    assert {(u.kind, u.basis, u.model) for u in (share, part)} == {
        (UsageKind.RESERVED, Basis.EMULATED, "arrival-delay")
    }
    assert {share.unit, part.unit} == {"online-0", "online-1"}
    bill = {line.resource: line for line in lines(found, scenario.prices) if line.basis is Basis.EMULATED}
    assert {line.kind for line in bill.values()} == {LineKind.IDLE}, "nothing is known to have used it"
    assert bill[Resource.DEVICE_SLICE].cost_nanousd == 210_000_000
    alone = held["l4-0"].model_copy(update={"exclusive": True})
    assert device_milliseconds(1000, alone, plan.devices.device("l4-0")) == 1000
    real = layout("lab", scenario, 1, wish, devices=replace(facts, inventory=_really_there(facts.inventory)))
    assert {u.basis for u in usage(Interval(START, START + TICK), scenario, real, {}, [], Counter())} == {
        Basis.MODELLED
    }


def _really_there(devices: tuple[Device, ...]) -> tuple[Device, ...]:
    return tuple(d.model_copy(update={"basis": DeviceBasis.REAL, "uuid": f"GPU-{d.name}"}) for d in devices)
