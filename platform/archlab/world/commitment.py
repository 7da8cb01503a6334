"""What a plan commits to: capacity that is held and runs that fall due, priced for the next 30 days. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from archlab.errors import ArchlabError
from archlab.ledger.lines import lines
from archlab.plan import quotas
from archlab.spec.base import NANO_PER_USD, NanoUsd
from archlab.spec.money import Basis, Resource, Usage, UsageKind
from archlab.spec.plan import Plan
from archlab.spec.scenario import Mode, Model, Scenario
from archlab.spec.tenancy import QuotaStanding, Scarce
from archlab.world.metering import Interval, committed, reserved

WINDOW = timedelta(days=30)


def planned(scenario: Scenario, plan: Plan, now: datetime) -> Mapping[str, NanoUsd]:
    """Replicas, devices, commitments and batch runs of 30 days from now on, by the prices known for them, by team.

    A team that plans nothing has 0. Look-ups and materialisation are left out: nobody reserves them.

    Raises:
        ArchlabError: the price book has no price for what is reserved.
    """
    month = Interval(now, now + WINDOW)
    return _cost(scenario, [*_capacity(scenario, plan, month), *_batch(scenario, month)])


def held(scenario: Scenario, plan: Plan, now: datetime) -> Mapping[str, NanoUsd]:
    """Of what is planned, the capacity that is paid for whether anybody asks or not. Raises as `planned` does."""
    return _cost(scenario, _capacity(scenario, plan, Interval(now, now + WINDOW)))


def standings(scenario: Scenario, plan: Plan, now: datetime) -> list[QuotaStanding]:
    """Quotas that a plan decides: devices, memory, money. Raises as `planned` does."""
    used = quotas.reserved(plan)
    if any(t.budget_usd is not None for t in scenario.teams):
        used[Scarce.BUDGET] = {t: -(-cost // NANO_PER_USD) for t, cost in planned(scenario, plan, now).items()}
    return [standing for what, taken in used.items() for standing in quotas.standings(scenario, what, taken)]


def run(scenario: Scenario, name: str, now: datetime) -> NanoUsd:
    """What one more batch run of a model costs its team. Raises as `planned` does."""
    model = scenario.model(name)
    return _cost(scenario, [_runs(model, Interval(now, now + WINDOW), 1)])[model.team]


def _capacity(scenario: Scenario, plan: Plan, month: Interval) -> list[Usage]:
    return [*committed(month, scenario), *reserved(month, scenario, plan)]


def _cost(scenario: Scenario, usages: Iterable[Usage]) -> Counter[str]:
    """By team; all draw on the same commitments, so that all are priced together."""
    found: Counter[str] = Counter()
    try:
        for line in lines(usages, scenario.prices):
            found[line.team] += line.cost_nanousd
    except LookupError as error:
        raise ArchlabError(f"The plan can't be priced: {error}.", "Add the price to the scenario.") from None
    return found


def _batch(scenario: Scenario, month: Interval) -> list[Usage]:
    return [_runs(m, month, WINDOW // m.batch_every) for m in scenario.models if m.mode is Mode.BATCH]


def _runs(model: Model, month: Interval, count: int) -> Usage:
    return Usage(
        id=f"planned/{model.name}",
        start=month.start,
        end=month.end,
        team=model.team,
        model=model.name,
        mode=Mode.BATCH.value,
        unit="batch",
        resource=Resource.BATCH_CPU,
        kind=UsageKind.CONSUMED,
        quantity=count * model.batch_cpu_millicore_seconds,
        basis=Basis.MODELLED,
        purchase=model.batch_purchase,
    )
