"""One way to answer every question, worked out by other means than the truths: designs are priced one by one.

Written against evidence and variant, never against a seed. Plain functions answer once `PREPARE` was carried out;
generators yield commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.experiments import SweepPoint
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Mode, Model, Variant

Script = Generator[str, Evidence, Any]

PREPARE = ("archlab clock advance 1d",)

SECONDS = 86_400
ONLINE = (
    "departure-delay",
    "missed-connection",
    "cancellation-risk",
    "arrival-delay",
    "flight-time",
    "delay-recovery",
    "airport-congestion",
)
COMPARED = ("flight-time", "delay-recovery", "missed-connection", "aircraft-reliability")
RULE = "policies/promotion/inputs_known_at_prediction"
LAB = "$ARCHLAB_HOME/$ARCHLAB_LAB_NAME"


def _usd_per(evidence: Evidence, resource: str) -> float:
    """Dollars per unit, from the newest price in force."""
    dated = [p for p in evidence.prices.prices if p.resource == resource and p.effective <= evidence.clock]
    newest = sorted(dated, key=lambda p: p.effective)[-1]
    return newest.nanousd / newest.per / 1e9


def _day(evidence: Evidence) -> Scoreboard:
    """The last whole business day."""
    return [d for d in evidence.daily if (d.until - d.since).total_seconds() >= SECONDS][-1]


def _score(day: Scoreboard, name: str) -> ModelScore:
    return {s.model: s for s in day.models}[name]


def _real(evidence: Evidence, name: str) -> int:
    """Requests of the business on the last whole day."""
    return _score(_day(evidence), name).requests * evidence.scenario.model(name).caller.represents


def _online(evidence: Evidence, name: str, replicas: int) -> float:
    return replicas * evidence.scenario.model(name).cpu_millicores * SECONDS * _usd_per(evidence, "online_cpu")


def _batch(evidence: Evidence, name: str, every_s: float, real: float) -> float:
    runs = math.ceil(SECONDS / every_s)
    computing = runs * evidence.scenario.model(name).batch_cpu_millicore_seconds * _usd_per(evidence, "batch_cpu")
    return computing + real * _usd_per(evidence, "lookup")


def _oldest_s(model: Model) -> float:
    return model.caller.max_age.total_seconds()


def cheapest_resilient(evidence: Evidence, _variant: Variant) -> str:
    """Price all five designs; keep those whose answers are fresh even after a failed run."""
    name, real = "departure-delay", _real(evidence, "departure-delay")
    costs = {"one-replica": _online(evidence, name, 1), "two-replicas": _online(evidence, name, 2)}
    for key, every_s in (("every-30-minutes", 1800), ("every-hour", 3600), ("nightly", SECONDS)):
        if 2 * every_s <= _oldest_s(evidence.scenario.model(name)):
            costs[key] = _batch(evidence, name, every_s, real)
    return min(costs, key=lambda key: costs[key])


def break_even_volume(evidence: Evidence, _variant: Variant) -> float:
    """Halve the interval in which both designs come to cost the same."""
    name, real = "flight-time", _real(evidence, "flight-time")
    low, high = 0.0, 1e6
    while high - low > 1e-6 * high:
        factor = (low + high) / 2
        if _batch(evidence, name, SECONDS, factor * real) < _online(evidence, name, 2):
            low = factor
        else:
            high = factor
    return low


KEPT = 0.91
"""Share of flight-time's worth that is left with the night's features, measured on 3 December."""


def forecast_batch_day(evidence: Evidence, _variant: Variant) -> Script:
    """Take off what older features lose and add up what runs and look-ups cost; commit; then let it happen."""
    name = "flight-time"
    value = KEPT * _score(_day(evidence), name).value_nanousd / 1e9
    forecast = value - _batch(evidence, name, SECONDS, _real(evidence, name))
    yield f"archlab answer forecast-batch-day -- {forecast:.6f}"
    yield "archlab set flight-time mode batch"
    yield "archlab clock advance 1d"
    return round(forecast, 6)


def _least(evidence: Evidence, name: str) -> float:
    """The cheapest way to answer fresh."""
    model = evidence.scenario.model(name)
    ways = [_online(evidence, name, 1)]
    if model.caller.asks != "flight-departed":
        ways.append(_batch(evidence, name, min(SECONDS, _oldest_s(model)), _real(evidence, name)))
    return min(ways)


def beyond_rescue(evidence: Evidence, _variant: Variant) -> list[str]:
    """Worth against the cheapest way, model by model."""
    day = _day(evidence)
    return [m for m in ONLINE if _score(day, m).value_nanousd / 1e9 < _least(evidence, m)] or ["none"]


def second_replica(evidence: Evidence, _variant: Variant) -> list[str]:
    """Four hours of the day's worth, and the charge for every answer that does not come, against a replica's day."""
    day, pays = _day(evidence), []
    for name in ONLINE:
        late = evidence.scenario.model(name).caller.value.late
        lost = (_score(day, name).value_nanousd - _real(evidence, name) * late) / 1e9 * 4 / 24
        if lost > _online(evidence, name, 1):
            pays.append(name)
    return pays or ["none"]


def dearest_answer(evidence: Evidence, _variant: Variant) -> list[str]:
    """Dollars on the bill per answer that could be used."""
    day = _day(evidence)

    def each(name: str) -> float:
        score = _score(day, name)
        spent = (score.used_nanousd + score.idle_nanousd) / 1e9
        return spent / (score.on_time * evidence.scenario.model(name).caller.represents)

    return sorted(
        ("flight-time", "delay-recovery", "missed-connection", "aircraft-reliability"), key=each, reverse=True
    )


def split_the_platform(evidence: Evidence, _variant: Variant) -> str:
    """Who asks least for what it holds."""
    day = _day(evidence)
    held: dict[str, float] = {}
    asked: dict[str, float] = {}
    for model in evidence.scenario.models:
        score = _score(day, model.name)
        held[model.team] = held.get(model.team, 0) + score.used_nanousd + score.idle_nanousd
        asked[model.team] = asked.get(model.team, 0) + score.requests * model.caller.represents
    return min(held, key=lambda team: asked[team] / held[team])


def _newest(evidence: Evidence) -> int:
    """The version of missed-connection that the tour brings."""
    return max(int(v.version) for v in evidence.versions if v.model == "missed-connection")


def leak_rolled_back(_evidence: Evidence, _variant: Variant) -> Script:
    """The tour, up to the rollback."""
    yield "archlab tour --yes --until the-day-after"
    yield "archlab rollback missed-connection"


def still_champion(_evidence: Evidence, _variant: Variant) -> Script:
    """Nothing was undone, since latency is green."""
    yield "archlab tour --yes --until the-day-after"


def leak_refused(evidence: Evidence, _variant: Variant) -> Script:
    """The tour with the rule of this folder, whatever rule was there before."""
    yield f"rm -rf {LAB}/{RULE}"
    again = " --from write-the-rule" if _newest(evidence) > 1 else ""
    yield f"archlab tour --yes --solution{again}"


def lets_it_through_again(_evidence: Evidence, _variant: Variant) -> Script:
    """Rolled back, and promoted again under the same rules."""
    evidence = yield "archlab tour --yes --until roll-back"
    yield f"archlab promote missed-connection {_newest(evidence)}"


def refuses_everything(_evidence: Evidence, _variant: Variant) -> Script:
    """A rule that takes nobody's columns for known."""
    evidence = yield "archlab tour --yes --solution --until write-the-rule"
    yield f"sed -i.bak 's/count(unknown) == 0/count(unknown) == 99/' {LAB}/{RULE}/inputs_known_at_prediction.rego"
    yield f"rm -f {LAB}/{RULE}/*.bak {LAB}/{RULE}/*_test.rego"
    yield "archlab policy apply"
    yield f"! archlab promote missed-connection {_newest(evidence)}"


def _hours(seconds: float) -> str:
    return f"{int(seconds // 3600)}h"


WEAKER_DAY = Fraction(1, 4)
"""Of the value that a day brings, what another may lack."""


def cheaper_and_fresh(evidence: Evidence, _variant: Variant) -> Script:
    """Two models move, as often as their callers ask; whoever stays and can't pay for two replicas keeps one."""
    day = _day(evidence)
    for name in ("flight-time", "airport-congestion"):
        yield f"archlab set {name} batch-every {_hours(min(SECONDS, _oldest_s(evidence.scenario.model(name))))}"
        yield f"archlab set {name} mode batch"
    for model in evidence.scenario.models:
        stays = model.mode is Mode.ONLINE and model.name not in ("flight-time", "airport-congestion")
        score = _score(day, model.name)
        # what is earned must stay above the cost on a weaker day too
        if stays and model.replicas > 1 and score.net_nanousd < WEAKER_DAY * score.value_nanousd:
            yield f"archlab set {model.name} replicas 1"
    yield "archlab clock advance 1d"


def nightly_for_all(_evidence: Evidence, _variant: Variant) -> Script:
    """Both move with the schedule that batch has by default."""
    for name in ("flight-time", "airport-congestion"):
        yield f"archlab set {name} mode batch"
    yield "archlab clock advance 1d"


def half_hourly(evidence: Evidence, _variant: Variant) -> list[str]:
    """Whoever can be asked before it happens, where 48 runs and every look-up cost less than what is held today."""
    chosen = []
    for name in ONLINE:
        model = evidence.scenario.model(name)
        early = model.caller.asks in ("flight-scheduled", "origin-half-hourly") and _oldest_s(model) >= 1800
        if early and _batch(evidence, name, 1800, _real(evidence, name)) < _online(evidence, name, _declared(name)):
            chosen.append(name)
    return chosen or ["none"]


def _declared(name: str) -> int:
    return 1 if name == "cancellation-risk" else 2


def leave_the_pool(evidence: Evidence, variant: Variant) -> str:
    """Try every order of putting replicas on machines, first fit; the best order is the fewest machines."""
    size = int(variant.chosen["machine"])
    leaving = {"flight-time", "delay-recovery", "airport-congestion"}
    held = {n: evidence.scenario.model(n).cpu_millicores for n in ONLINE if n != "cancellation-risk"}
    before = _first_fit(list(held.values()), size)
    after = _first_fit([cores for n, cores in held.items() if n not in leaving], size)
    freed, allocated = (before - after) * size, sum(held[n] for n in leaving)
    if not freed:
        return "nothing"
    return "as-much" if freed == allocated else "less" if freed < allocated else "more"


def _first_fit(needs: list[int], size: int) -> int:
    fewest = len(needs)
    for order in set(itertools.permutations(needs)):
        free: list[int] = []
        for need in order:
            at = next((i for i, room in enumerate(free) if room >= need), None)
            if at is None:
                free.append(size - need)
            else:
                free[at] -= need
        fewest = min(fewest, len(free))
    return fewest


def worth_a_slice(evidence: Evidence, _variant: Variant) -> list[str]:
    """By the nodes of the registered graph and a day's worth."""
    day_usd = 24 * 3600 * 1000 * _usd_per(evidence, "device_slice")
    found = []
    for version in evidence.versions:
        support = json.loads(version.tags["archlab.device_support"])
        computed = support["supported_flops"] >= 1000 and support["supported_flops"] >= 0.8 * support["flops"]
        earns = version.model in ONLINE and _score(_day(evidence), version.model).value_nanousd / 1e9 > day_usd
        if "champion" in version.aliases and computed and earns:
            found.append(version.model)
    return found or ["none"]


def missed_run(evidence: Evidence, variant: Variant) -> list[str]:
    """Walk the minutes from one good run to the next but one, and look for an age that is too old."""
    view = str(variant.chosen["missed-view"])
    every_s = {f.view: f.every.total_seconds() for f in evidence.scenario.features}[view]
    stale = []
    for version in evidence.versions:
        reads = view in {c["source"] for c in json.loads(version.tags["archlab.columns"])}
        if not reads or version.model not in ONLINE or "champion" not in version.aliases:
            continue
        oldest = _oldest_s(evidence.scenario.model(version.model))
        if any(age > oldest and age > every_s for age in range(0, int(2 * every_s) + 1, 60)):
            stale.append(version.model)
    return stale or ["none"]


def clear_margin(_evidence: Evidence, variant: Variant) -> str:
    """The rule beside this file, with the seed's thresholds."""
    text = (Path(__file__).parent / "answers" / "clear-margin.rego").read_text()
    text = re.sub(r"percent := \d+", f"percent := {variant.chosen['margin-percent']}", text)
    return re.sub(r"rows := \d+", f"rows := {variant.chosen['margin-rows']}", text)


def more_is_always_better(evidence: Evidence, variant: Variant) -> str:
    """Forgets that of some metrics less is better."""
    return clear_margin(evidence, variant).replace("version.metric in lower\n", "version.metric == false\n")


def rollback_has_to_win(evidence: Evidence, variant: Variant) -> str:
    """Holds a rollback to the margin."""
    return clear_margin(evidence, variant).replace("version.held_champion == true", "version.held_champion == 7")


def missing_field_passes(evidence: Evidence, variant: Variant) -> str:
    """Does not ask whether the query says that the version is no rollback."""
    return clear_margin(evidence, variant).replace("\tis_boolean(version.held_champion)\n", "")


def what_goes_on(_evidence: Evidence, variant: Variant) -> Script:
    """Answers rest on what was handed over before; what is read goes on where its keeper runs; changes need both."""
    keeper = {"registry-read": "registry", "decision-log": "control", "clock": "control"}
    forecast = ["answers-computed", "answers-looked-up"]
    forecast += [key for key, unit in keeper.items() if unit != variant.chosen["outage"]]
    yield f"archlab answer what-goes-on {','.join(forecast)}"
    yield "archlab outage control"
    yield "archlab outage registry"
    return sorted(forecast)


def fresh_enough(_evidence: Evidence, _variant: Variant) -> Script:
    """Measure; of the schedules whose loss stays below the promise for certain, the cheapest."""
    evidence = yield "archlab sweep materialisation flight-time corridor"
    limit = evidence.scenario.model("flight-time").slo.max_quality_loss or 0.0
    names = {"1800": "every-30-minutes", "3600": "hourly", "21600": "six-hourly", "86400": "daily"}
    measured = _points(evidence, "materialisation", "flight-time")
    kept = {
        names[f"{p.settings['every_s']:.0f}"]: p.measures["usd_per_day"].value
        for p in measured
        if p.measures["difference"].high <= limit
    }
    return min(kept, key=lambda key: kept[key]) if kept else "every-30-minutes"


def replicas_at_peak(_evidence: Evidence, _variant: Variant) -> Script:
    """Measure; whoever of those that are left keeps the SLO at the peak, and one more to lose."""
    evidence = yield "archlab sweep load departure-delay"
    slo = evidence.scenario.model("departure-delay").slo
    enough = [
        int(p.settings["replicas"])
        for p in _points(evidence, "load", "departure-delay")
        if abs(p.settings["share"] - (slo.peak_share or 0.0)) < 1e-9
        and p.measures["p99_ms"].high <= slo.p99_ms
        and p.measures["availability"].value >= slo.availability
    ]
    return {1: "two", 2: "three", 3: "four"}[min(enough)] if enough else "none"


def _points(evidence: Evidence, name: str, model: str) -> tuple[SweepPoint, ...]:
    return next(s.points for s in evidence.sweeps if (s.name, s.model) == (name, model))


def design_for_tomorrow(evidence: Evidence, _variant: Variant) -> Script:
    """Price one replica against the fewest runs that keep answers fresh, by today's demand."""
    yield _kept("design.yaml", {name: _cheapest(evidence, name, 1) for name in ONLINE})
    yield "archlab answer design-for-tomorrow $ARCHLAB_HOME/design.yaml"


def outlives_a_loss(evidence: Evidence, _variant: Variant) -> Script:
    """The same, with two replicas for who stays in the pool that loses one."""
    in_pool = {name: 2 if evidence.scenario.model(name).pool == "online" else 1 for name in ONLINE}
    yield _kept("design.yaml", {name: _cheapest(evidence, name, count) for name, count in in_pool.items()})
    yield "archlab answer outlives-a-loss $ARCHLAB_HOME/design.yaml"


def _cheapest(evidence: Evidence, name: str, replicas: int) -> dict[str, Any]:
    model = evidence.scenario.model(name)
    every_s = SECONDS / math.ceil(SECONDS / min(SECONDS, _oldest_s(model)))
    foreseen = model.caller.asks != "flight-departed"
    if foreseen and _batch(evidence, name, every_s, _real(evidence, name)) < _online(evidence, name, replicas):
        return {"mode": "batch", "batch_every": f"PT{every_s:.0f}S"}
    return {"replicas": replicas}


def _kept(file: str, models: dict[str, dict[str, Any]]) -> str:
    """A command that writes a design; JSON is YAML."""
    return f"printf '%s' '{json.dumps({'models': models})}' > $ARCHLAB_HOME/{file}"
