"""One way to answer every question, worked out by other means than the truths: designs are priced one by one.

Written against evidence and variant, never against a seed. Plain functions answer once `PREPARE` was carried out;
generators yield commands, are sent the evidence after each, and return what they answer.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from archlab.spec.airline import ModelScore, Scoreboard
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


KEPT = 0.77
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


def leak_refused(_evidence: Evidence, _variant: Variant) -> Script:
    """The tour with the rule of this folder."""
    yield "archlab tour --yes --solution"


def lets_it_through_again(_evidence: Evidence, _variant: Variant) -> Script:
    """Rolled back, and promoted again under the same rules."""
    evidence = yield "archlab tour --yes --until roll-back"
    yield f"archlab promote missed-connection {_newest(evidence)}"


def refuses_everything(_evidence: Evidence, _variant: Variant) -> Script:
    """A rule that takes nobody's columns for known."""
    lab = "$ARCHLAB_HOME/$ARCHLAB_LAB_NAME"
    evidence = yield "archlab tour --yes --solution --until write-the-rule"
    yield f"sed -i.bak 's/count(unknown) == 0/count(unknown) == 99/' {lab}/{RULE}/inputs_known_at_prediction.rego"
    yield f"rm -f {lab}/{RULE}/*.bak {lab}/{RULE}/*_test.rego"
    yield "archlab policy apply"
    yield f"! archlab promote missed-connection {_newest(evidence)}"


def _hours(seconds: float) -> str:
    return f"{int(seconds // 3600)}h"


def cheaper_and_fresh(evidence: Evidence, _variant: Variant) -> Script:
    """Two models move, as often as their callers ask; whoever stays and can't pay for two replicas keeps one."""
    day = _day(evidence)
    for name in ("flight-time", "airport-congestion"):
        yield f"archlab set {name} batch-every {_hours(min(SECONDS, _oldest_s(evidence.scenario.model(name))))}"
        yield f"archlab set {name} mode batch"
    for model in evidence.scenario.models:
        stays = model.mode is Mode.ONLINE and model.name not in ("flight-time", "airport-congestion")
        if stays and model.replicas > 1 and _score(day, model.name).net_nanousd < 0:
            yield f"archlab set {model.name} replicas 1"
    yield "archlab clock advance 1d"


def nightly_for_all(_evidence: Evidence, _variant: Variant) -> Script:
    """Both move with the schedule that batch has by default."""
    for name in ("flight-time", "airport-congestion"):
        yield f"archlab set {name} mode batch"
    yield "archlab clock advance 1d"
