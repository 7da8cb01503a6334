"""Evidence of one lab as another seed's variant would have it: the same flights, requests and answers, other terms.

What a variant changes of a business day without changing what happens in it is arithmetic: volumes scale worth, use and
look-ups, prices scale costs, candidates claim what they declare. What it changes of the events themselves (a deadline,
a defect) stays as it was recorded, while the scenario that truths read is the other seed's.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from archlab.grading.proof.rewriting import rewritten
from archlab.plan.layout import layout
from archlab.plan.resolve import override, resolve
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.grading import Evidence
from archlab.spec.money import Line, Resource
from archlab.spec.scenario import Mode, Model, Scenario


def recast(evidence: Evidence, declared: Scenario, seed: int) -> Evidence:
    """The evidence as it would be with another seed.

    Args:
        evidence: of a lab of this scenario, whatever its seed.
        declared: scenario.yaml as written.
        seed: whose variant to take.
    """
    resolved, variant = resolve(declared, seed)
    scenario = override(resolved, evidence.overrides)
    made = partial(_board, evidence.scenario, scenario)
    return evidence.model_copy(
        update={
            "scenario": scenario,
            "variant": variant,
            "prices": scenario.prices,
            "plan": layout(evidence.lab, resolved, seed, evidence.overrides),
            "scoreboard": made(evidence.scoreboard),
            "daily": tuple(made(day) for day in evidence.daily),
            "lines": tuple(_line(evidence.scenario, scenario, line) for line in evidence.lines),
            "versions": rewritten(evidence.versions, evidence.scenario, scenario),
        }
    )


def _board(was: Scenario, now: Scenario, board: Scoreboard) -> Scoreboard:
    models = tuple(_score(was, now, score) for score in board.models)
    shared = round(board.shared_nanousd * _dearer(was, now, Resource.PLATFORM_CPU))
    value, cost = sum(m.value_nanousd for m in models), shared + _costs(models)
    return board.model_copy(
        update={
            "models": models,
            "shared_nanousd": shared,
            "value_nanousd": value,
            "cost_nanousd": cost,
            "net_nanousd": value - cost,
        }
    )


def _costs(models: Sequence[ModelScore]) -> int:
    return sum(m.used_nanousd + m.idle_nanousd for m in models)


def _score(was: Scenario, now: Scenario, score: ModelScore) -> ModelScore:
    before, after = was.model(score.model), now.model(score.model)
    value = round(score.value_nanousd * _more(before, after))
    used, idle = _used_and_idle(was, now, score)
    update = {"value_nanousd": value, "used_nanousd": used, "idle_nanousd": idle, "net_nanousd": value - used - idle}
    return score.model_copy(update=update)


def _used_and_idle(was: Scenario, now: Scenario, score: ModelScore) -> tuple[int, int]:
    """Online, what was reserved stays reserved; in batch, look-ups are priced apart from the runs."""
    before, after = was.model(score.model), now.model(score.model)
    online = _dearer(was, now, Resource.ONLINE_CPU)
    if score.mode == Mode.ONLINE.value:
        reserved = round((score.used_nanousd + score.idle_nanousd) * online)
        used = min(reserved, round(score.used_nanousd * online * _more(before, after)))
        return used, reserved - used
    asked = (score.requests - score.missing) * before.caller.represents
    lookups = min(score.used_nanousd, round(asked * _price(was, Resource.LOOKUP)))
    runs = (score.used_nanousd - lookups) * _dearer(was, now, Resource.BATCH_CPU)
    priced = lookups * _more(before, after) * _dearer(was, now, Resource.LOOKUP)
    return round(runs + priced), round(score.idle_nanousd * online)


def _line(was: Scenario, now: Scenario, line: Line) -> Line:
    """Quantity and price of a line of the bill; what was reserved is kept by the idle line, to a rounding."""
    price = now.prices.at(line.resource, line.start)
    quantity = line.quantity
    if line.model and line.resource is Resource.LOOKUP:
        quantity = round(quantity * _more(was.model(line.model), now.model(line.model)))
    cost = round(quantity * Fraction(price.nanousd, price.per))
    update = {
        "quantity": quantity,
        "unit_price_nanousd": price.nanousd,
        "unit_price_per": price.per,
        "cost_nanousd": cost,
    }
    return line.model_copy(update=update)


def _more(before: Model, after: Model) -> Fraction:
    """By how much the business asks more."""
    return Fraction(after.caller.represents, before.caller.represents)


def _dearer(was: Scenario, now: Scenario, resource: Resource) -> Fraction:
    return _price(now, resource) / _price(was, resource)


def _price(scenario: Scenario, resource: Resource) -> Fraction:
    found = scenario.prices.at(resource, scenario.starts)
    return Fraction(found.nanousd, found.per)
