"""Truths about quotas and budgets: what the rules say of a change before it is made, and whom to ask then."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archlab.spec.access import OPERATOR
from archlab.spec.base import NANO_PER_USD
from archlab.spec.grading import Evidence, Truth
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import ModelOverride, Overrides, TeamOverride, Variant
from archlab.spec.tenancy import Isolation, QuotaStanding, Scarce
from archlab.world.commitment import planned, standings
from archlab_scenarios.five_teams import books

QUEUE = ("revenue", "maintenance", "customer-care", "network-planning")
"""Teams that want servers of their own, in the order that they come."""

TRIED = {
    "planning-pool": Overrides(teams={"network-planning": TeamOverride(isolation=Isolation.POOL)}),
    "maintenance-pool": Overrides(teams={"maintenance": TeamOverride(isolation=Isolation.POOL)}),
    "reliability-4": Overrides(models={"aircraft-reliability": ModelOverride(replicas=4)}),
    "segments-5": Overrides(models={"route-segments": ModelOverride(replicas=5)}),
}
"""Changes of `what-quotas-say`, by option."""


def grown(evidence: Evidence, changes: Overrides) -> dict[str, list[QuotaStanding]]:
    """Quotas of which a change takes more, by team: what the rule quota/within_quota is asked about."""
    before = {(s.team, s.what): s.used for s in standings(evidence.scenario, evidence.plan, evidence.clock)}
    scenario, plan = books.planned(evidence, changes)
    found: dict[str, list[QuotaStanding]] = {}
    for standing in standings(scenario, plan, evidence.clock):
        if standing.used > before.get((standing.team, standing.what), 0):
            found.setdefault(standing.team, []).append(standing)
    return found


def broken(evidence: Evidence, changes: Overrides) -> list[QuotaStanding]:
    """Of those, the ones that the change would break."""
    return [s for asked in grown(evidence, changes).values() for s in asked if s.over]


def own_servers_for_whom(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which teams get servers of their own, one after the other, as long as no budget is broken by it."""
    moved: list[str] = []
    told = []
    for team in QUEUE:
        scenario, plan = books.planned(evidence, _pools(moved))
        over = broken(evidence.model_copy(update={"scenario": scenario, "plan": plan}), _pools([team]))
        told.append(f"{team}: {'granted' if not over else ', '.join(f'{s.team} {s.used} of {s.limit}' for s in over)}")
        if not over:
            moved.append(team)
    return Truth(answer=moved or ["none"], facts={"told": "; ".join(told)})


def _pools(teams: list[str]) -> Overrides:
    return Overrides(teams={team: TeamOverride(isolation=Isolation.POOL) for team in teams})


def what_quotas_say(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: which changes the rules refuse, each tried alone; from the decisions that followed."""
    said = {key: logged(evidence, changes) for key, changes in TRIED.items()}
    if missing := [key for key, answer in said.items() if answer is None]:
        what = ", ".join(missing)
        return Truth(
            answer=None,
            blocked=f"The log has no decision yet about: {what}. Try each, from a lab as declared, and take it back.",
        )
    refused = [key for key, answer in said.items() if answer is False]
    reasons = [
        f"{key}: {', '.join(f'{s.what.value} of {s.team}' for s in broken(evidence, TRIED[key])) or 'allowed'}"
        for key in TRIED
    ]
    return Truth(answer=refused or ["none"], facts={"reasons": "; ".join(reasons)})


def logged(evidence: Evidence, changes: Overrides) -> bool | None:
    """What the log says of a change; None while it was not asked, or asked of a lab that held something else."""
    if not (asked := grown(evidence, changes)):
        return None  # the lab holds it already, so that trying it asks nothing
    found = [next(_matching(evidence, team, about), None) for team, about in asked.items()]
    if any(record is not None and not record.decision.allow for record in found):
        return False
    return None if None in found else True


def _matching(evidence: Evidence, team: str, about: list[QuotaStanding]) -> Iterator[DecisionRecord]:
    wanted = sorted((s.what.value, s.used, s.limit) for s in about)
    for record in reversed(evidence.decisions):
        query = record.query
        if query.action == "quota/change" and (query.resource.kind, query.resource.team) == ("team", team):
            asked = sorted((a["what"], a["used"], a["limit"]) for a in query.evidence["asks"])
            if asked == wanted:
                yield record


def whom_to_ask(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: who has to raise something before a model gets its replicas."""
    name, replicas = books.knob(evidence, "wish-model"), int(evidence.scenario.knobs["wish-replicas"])
    over = broken(evidence, Overrides(models={name: ModelOverride(replicas=replicas)}))
    money = any(s.what is Scarce.BUDGET for s in over)
    other = any(s.what is not Scarce.BUDGET for s in over)
    answer = {(False, False): "nobody", (True, False): "finance", (False, True): OPERATOR, (True, True): "both"}
    said = [f"{s.team} would take {s.used:,} of {s.limit:,} ({s.what.value})" for s in over]
    return Truth(answer=answer[money, other], facts={"over": "; ".join(said) or "every quota is kept"})


def warned_after_pools(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: whom `archlab budget status` would name once every team has servers of its own."""
    scenario, plan = books.planned(evidence, _pools(list(books.TEAMS)))
    percent = int(evidence.scenario.knobs["warn-percent"])
    costs = planned(scenario, plan, evidence.clock)
    budgets = {t: usd for t in books.TEAMS if (usd := scenario.team(t).budget_usd)}
    if len(budgets) < len(books.TEAMS):
        unset = ", ".join(t for t in books.TEAMS if t not in budgets)
        return Truth(answer=None, blocked=f"No budget to warn of: {unset}. archlab quota set TEAM budget USD")
    taken = {t: Fraction(costs[t], usd * NANO_PER_USD) for t, usd in budgets.items()}
    named = [t for t in books.TEAMS if 100 * taken[t] >= percent]
    table = "\n".join(
        f"| {t} | {books.usd(costs[t]):.2f} | {budgets[t]} | {float(100 * taken[t]):.0f} % |" for t in books.TEAMS
    )
    code = 5 if max(taken.values()) > 1 else 4 if named else 0
    return Truth(answer=named or ["none"], facts={"table": table, "code": code})
