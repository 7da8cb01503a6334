"""Evidence of one lab as another seed's variant would have it: the same flights, requests and answers, other terms.

What a variant changes of a business day without changing what happens in it is arithmetic: volumes scale worth, use and
look-ups, prices scale costs, what servers hold for themselves scales what is reserved, candidates claim what they
declare, logs are tampered with as declared. What it changes of the events themselves (a deadline, a defect) stays as it
was recorded, while the scenario that truths read is the other seed's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import partial

from archlab.grading.proof.retampering import retampered
from archlab.grading.proof.rewriting import rewritten
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.grading import Evidence
from archlab.spec.money import Line, LineKind, Resource
from archlab.spec.plan import Plan
from archlab.spec.scenario import Mode, Model, Scenario, Variant


def recast(evidence: Evidence, resolved: Scenario, variant: Variant) -> Evidence:
    """The evidence as it would be with another seed.

    Args:
        evidence: of a lab of this scenario, whatever its seed.
        resolved: the scenario as the other seed decides it; see `archlab.plan.resolve`.
        variant: what that seed decides.
    """
    scenario = override(resolved, evidence.overrides)
    plan = layout(evidence.lab, resolved, variant.seed, evidence.overrides)
    held = _held_more(evidence.plan, plan)
    made = partial(_board, evidence.scenario, scenario, held)
    evidence = retampered(evidence, evidence.scenario, scenario)
    return evidence.model_copy(
        update={
            "scenario": scenario,
            "variant": variant,
            "prices": scenario.prices,
            "plan": plan,
            "scoreboard": made(evidence.scoreboard),
            "daily": tuple(made(day) for day in evidence.daily),
            "lines": _lines(evidence.scenario, scenario, held, evidence.lines),
            "versions": rewritten(evidence.versions, evidence.scenario, scenario),
        }
    )


Held = Mapping[str, Fraction]
"""By how much more cores each model holds, its part of its servers included."""


def _held_more(was: Plan, now: Plan) -> Held:
    before, after = _held(was), _held(now)
    return {model: Fraction(after[model], cores) for model, cores in before.items() if cores}


def _held(plan: Plan) -> Counter[str]:
    found: Counter[str] = Counter()
    for reserved in plan.reservations:
        found[reserved.model] += reserved.replicas * reserved.cpu_millicores
    return found


def _board(was: Scenario, now: Scenario, held: Held, board: Scoreboard) -> Scoreboard:
    models = tuple(_score(was, now, held, score) for score in board.models)
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


def _score(was: Scenario, now: Scenario, held: Held, score: ModelScore) -> ModelScore:
    before, after = was.model(score.model), now.model(score.model)
    value = round(score.value_nanousd * _more(before, after))
    used, idle = _used_and_idle(was, now, held.get(score.model, Fraction(1)), score)
    update = {"value_nanousd": value, "used_nanousd": used, "idle_nanousd": idle, "net_nanousd": value - used - idle}
    return score.model_copy(update=update)


def _used_and_idle(was: Scenario, now: Scenario, held: Fraction, score: ModelScore) -> tuple[int, int]:
    """Online, what was reserved is priced whether used or not; in batch, look-ups are priced apart from the runs."""
    before, after = was.model(score.model), now.model(score.model)
    online = _dearer(was, now, Resource.ONLINE_CPU)
    if score.mode == Mode.ONLINE.value:
        reserved = round((score.used_nanousd + score.idle_nanousd) * online * held)
        used = min(reserved, round(score.used_nanousd * online * _more(before, after)))
        return used, reserved - used
    asked = (score.requests - score.missing) * before.caller.represents
    lookups = min(score.used_nanousd, round(asked * _price(was, Resource.LOOKUP)))
    runs = (score.used_nanousd - lookups) * _dearer(was, now, Resource.BATCH_CPU)
    priced = lookups * _more(before, after) * _dearer(was, now, Resource.LOOKUP)
    return round(runs + priced), round(score.idle_nanousd * online)


def _lines(was: Scenario, now: Scenario, held: Held, lines: Sequence[Line]) -> tuple[Line, ...]:
    """What is held more or less shows in the idle lines: what was used stays what it was."""
    used: Counter[tuple[str, ...]] = Counter()
    for line in lines:
        if line.kind is LineKind.USED:
            used[_span(line)] += line.quantity
    made = []
    for line in lines:
        quantity = line.quantity
        if line.kind is LineKind.IDLE and line.resource is Resource.ONLINE_CPU and not line.corrects:
            taken = used[_span(line)]
            quantity = max(0, round((quantity + taken) * held.get(line.model, Fraction(1))) - taken)
        made.append(_line(was, now, line.model_copy(update={"quantity": quantity})))
    return tuple(made)


def _span(line: Line) -> tuple[str, ...]:
    return (line.usage_id, line.team, line.model, line.mode, line.resource)


def _line(was: Scenario, now: Scenario, line: Line) -> Line:
    """Quantity and price of a line of the bill, to a rounding."""
    if line.corrects:
        return line.model_copy(update={"cost_nanousd": round(line.cost_nanousd * _dearer(was, now, line.resource))})
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
