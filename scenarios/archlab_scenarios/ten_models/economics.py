"""What a design costs and an answer is worth: pure arithmetic over one lab's evidence, shared by the truths."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction

from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.base import NANO_PER_USD
from archlab.spec.grading import Evidence
from archlab.spec.money import Resource
from archlab.spec.scenario import Mode, Model

DAY = timedelta(days=1)
DAY_SECONDS = 86_400

ONLINE_AT_START = {
    "departure-delay": 2,
    "missed-connection": 2,
    "cancellation-risk": 1,
    "arrival-delay": 2,
    "flight-time": 2,
    "delay-recovery": 2,
    "airport-congestion": 2,
}
"""Models that the scenario declares online, with their replicas: the design that the learner starts from."""

NO_FULL_DAY = "Your lab has no whole business day on its books yet: archlab clock advance 1d, until one is complete."


def full_days(evidence: Evidence) -> tuple[Scoreboard, ...]:
    """Scoreboards of whole business days, oldest first."""
    return tuple(day for day in evidence.daily if day.until - day.since >= DAY)


def row(day: Scoreboard, model: str) -> ModelScore:
    """One model's row of a day; KeyError otherwise."""
    for score in day.models:
        if score.model == model:
            return score
    raise KeyError(model)


def usd(nanousd: Fraction | int) -> float:
    """For people: dollars."""
    return float(Fraction(nanousd) / NANO_PER_USD)


def price(evidence: Evidence, resource: Resource) -> Fraction:
    """Nano-dollars per unit of a resource, as the price book has it on the business clock."""
    found = evidence.prices.at(resource, evidence.clock)
    return Fraction(found.nanousd, found.per)


def reserved_per_day(evidence: Evidence, model: Model, replicas: int) -> Fraction:
    """What holding replicas of a model for a day costs."""
    return replicas * model.cpu_millicores * DAY_SECONDS * price(evidence, Resource.ONLINE_CPU)


def runs_needed(model: Model, *, survives_failures: int = 0) -> int:
    """Batch runs per day that keep every answer within the caller's `max_age`, even if so many in a row fail."""
    interval = model.caller.max_age / (1 + survives_failures)
    return max(1, -(-DAY // interval))


def batch_per_day(evidence: Evidence, model: Model, requests: int, runs: int) -> Fraction:
    """What a day of batch runs and look-ups costs."""
    computing = runs * model.batch_cpu_millicore_seconds * price(evidence, Resource.BATCH_CPU)
    return computing + requests * price(evidence, Resource.LOOKUP)


def real_requests(model: Model, score: ModelScore) -> int:
    """Requests of the business behind the replayed ones."""
    return score.requests * model.caller.represents


def real_on_time(model: Model, score: ModelScore) -> int:
    """Answers that could be used, of the business."""
    return score.on_time * model.caller.represents


def cost(score: ModelScore) -> int:
    """Used and idle together."""
    return score.used_nanousd + score.idle_nanousd


def inputs_known_ahead(model: Model) -> bool:
    """Whether what the caller brings is known before the event that it asks at; a departure delay is not."""
    return model.caller.asks != "flight-departed"


def cheapest_feasible_per_day(evidence: Evidence, model: Model, requests: int) -> Fraction:
    """The cheapest way to give fresh answers: one replica online, or batch as often as the caller's age limit asks."""
    online = reserved_per_day(evidence, model, 1)
    if not inputs_known_ahead(model):
        return online
    return min(online, batch_per_day(evidence, model, requests, runs_needed(model)))


def started_online(evidence: Evidence) -> tuple[Model, ...]:
    """The models that the scenario declares online, in its order."""
    return tuple(m for m in evidence.scenario.models if m.name in ONLINE_AT_START)


def declared_cost(evidence: Evidence, day: Scoreboard) -> Fraction:
    """What a day would have cost with the design that the learner started from."""
    started = started_online(evidence)
    as_is = sum(cost(row(day, m.name)) for m in started)
    as_declared = sum((reserved_per_day(evidence, m, ONLINE_AT_START[m.name]) for m in started), Fraction(0))
    return day.cost_nanousd - as_is + as_declared


def saving(evidence: Evidence, model: Model, day: Scoreboard) -> Fraction:
    """What a day in batch saves against the declared reservation, at the volume of that day."""
    requests = real_requests(model, row(day, model.name))
    online = reserved_per_day(evidence, model, ONLINE_AT_START[model.name])
    return online - batch_per_day(evidence, model, requests, runs_needed(model))


def last_day_online(evidence: Evidence, models: Iterable[str]) -> Scoreboard | None:
    """The last whole day on which all these models answered online; None when there is none."""
    wanted = tuple(models)
    days = [d for d in full_days(evidence) if all(row(d, m).mode == Mode.ONLINE.value for m in wanted)]
    return days[-1] if days else None
