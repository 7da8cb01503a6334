"""Quotas and budgets of teams: where each stands, whether a change keeps them, and who may change them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from archlab.errors import NotFoundError, RefusedError
from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.lab.work import clock
from archlab.plan import quotas
from archlab.plan.resolve import override
from archlab.plan.tenants import tenants
from archlab.policy.embedded import EmbeddedEngine
from archlab.spec.base import NANO_PER_USD
from archlab.spec.devices import MIB
from archlab.spec.plan import Plan
from archlab.spec.policy import PolicyResource, Query, Subject
from archlab.spec.scenario import Overrides, Scenario, TeamOverride
from archlab.spec.tenancy import QuotaStanding, Scarce
from archlab.world import commitment
from archlab.world.holding import at_most

CHANGE, RAISE = "quota/change", "quota/raise"
FIELDS = {
    Scarce.DEVICES: "devices",
    Scarce.MEMORY: "memory_bytes",
    Scarce.REQUESTS: "requests_per_day",
    Scarce.BUDGET: "budget_usd",
}


def standings(lab: Lab) -> list[QuotaStanding]:
    """Every quota of every team that has one, as the lab is now."""
    found = commitment.standings(lab.scenario, lab.plan, clock(lab))
    return [*found, *quotas.standings(lab.scenario, Scarce.REQUESTS, lab.control.get("/quotas")["requests"])]


def check(lab: Lab, wanted: Overrides, plan: Plan, *, user: str | None = None) -> tuple[str, ...]:
    """Have the rules decide a change that takes more of a quota; warnings of quotas that are nearly used up.

    Raises:
        RefusedError: it would take more than a team may; the message says what, how much, and who can raise it.
    """
    now = clock(lab)
    before = {(s.team, s.what): s.used for s in commitment.standings(lab.scenario, lab.plan, now)}
    after = commitment.standings(override(lab.resolved, wanted), plan, now)
    growing = [s for s in after if s.used > before.get((s.team, s.what), 0)]
    for team in dict.fromkeys(s.team for s in growing):
        asked = [_asked(s) for s in growing if s.team == team]
        _decide(lab, CHANGE, team, {"asks": asked}, now, user)
    return tuple(warning(s) for s in growing if s.near)


def check_run(lab: Lab, model: str, *, user: str | None = None) -> tuple[str, ...]:
    """Have the rules decide a batch run beside those that fall due, by what its team plans and was billed; warnings.

    Raises:
        RefusedError: it would take more than the team's budget; the message says how much, and who can raise it.
    """
    scenario, now = lab.scenario, clock(lab)
    team = scenario.team(scenario.model(model).team)
    if team.budget_usd is None:
        return ()
    row = lab.control.get(f"/budgets?{urlencode({'team': team.name})}")
    dearer = max(row["planned_nanousd_per_30_days"], row["spent_nanousd_last_30_days"])
    cost = dearer + commitment.run(scenario, model, now)
    asked = QuotaStanding(team=team.name, what=Scarce.BUDGET, used=-(-cost // NANO_PER_USD), limit=team.budget_usd)
    _decide(lab, CHANGE, team.name, {"asks": [_asked(asked)]}, now, user, about=PolicyResource(kind="run", name=model))
    return (warning(asked),) if asked.near else ()


def check_scaling(lab: Lab, wanted: Overrides, plan: Plan, *, user: str | None = None) -> tuple[str, ...]:
    """Have the rules decide replicas that follow load, by what they cost when all run that may; warnings.

    Raises:
        RefusedError: as `check`; what was billed counts too where that is more.
    """
    now = clock(lab)
    before = _budgets(lab.scenario, lab.plan, now)
    billed = {row["team"]: row["spent_nanousd_last_30_days"] for row in lab.control.get("/budgets")}
    growing = [
        s.model_copy(update={"used": max(s.used, -(-billed.get(team, 0) // NANO_PER_USD))})
        for team, s in _budgets(override(lab.resolved, wanted), plan, now).items()
        if s.used > before[team].used
    ]
    for standing in growing:
        _decide(lab, CHANGE, standing.team, {"asks": [_asked(standing)]}, now, user)
    return tuple(warning(s) for s in growing if s.near)


def _budgets(scenario: Scenario, plan: Plan, now: datetime) -> dict[str, QuotaStanding]:
    found = commitment.standings(scenario, at_most(plan), now)
    return {s.team: s for s in found if s.what is Scarce.BUDGET}


def warning(standing: QuotaStanding) -> str:
    """`revenue takes 71 USD in 30 days of 80: 88 % of its quota of budget`."""
    s, percent = standing, standing.used * 100 // max(1, standing.limit)
    return f"{s.team} takes {amount(s)} of {s.limit:,}: {percent} % of its quota of {s.what.value}"


def amount(standing: QuotaStanding) -> str:
    """What is used, with its unit."""
    unit = {Scarce.MEMORY: " MiB", Scarce.BUDGET: " USD in 30 days", Scarce.REQUESTS: " requests today"}
    return f"{standing.used:,}{unit.get(standing.what, '')}"


def set_limit(lab: Lab, team: str, what: Scarce, value: int, *, user: str | None = None) -> None:
    """Change a limit, when the rules let this user; it survives a second `up`.

    Args:
        value: in the unit of `what`.

    Raises:
        NotFoundError: there is no such team.
        RefusedError: the user may not.
    """
    if team not in {t.name for t in lab.declared.teams}:
        known = ", ".join(t.name for t in lab.declared.teams)
        raise NotFoundError(f"There is no team {team!r} in this lab.", f"Teams: {known}.")
    before = quotas.limit(lab.scenario.team(team), what)
    evidence = {"what": what.value, "limit": value, "before": -1 if before is None else before}
    _decide(lab, RAISE, team, evidence, clock(lab), user)
    stored = value * MIB if what is Scarce.MEMORY else value
    held = lab.overrides.teams.get(team, TeamOverride()).model_copy(update={FIELDS[what]: stored})
    _keep(lab, lab.overrides.model_copy(update={"teams": {**lab.overrides.teams, team: held}}))


def set_borrowing(lab: Lab, on: bool, *, user: str | None = None) -> None:
    """Let teams take what others leave, or not any longer. Raises RefusedError when the user may not."""
    evidence = {"what": "borrowing", "limit": int(on), "before": int(lab.scenario.borrow_quotas)}
    _decide(lab, RAISE, "", evidence, clock(lab), user)
    _keep(lab, lab.overrides.model_copy(update={"borrow_quotas": on}))


def _keep(lab: Lab, wanted: Overrides) -> None:
    """Nothing runs differently: limits are what later changes are measured by, and what a cluster holds teams to."""
    scenario, before = override(lab.resolved, wanted), lab.plan
    plan = before.model_copy(update={"tenants": tenants(scenario, before)})
    write_model(lab.folder.overrides, wanted)
    write_model(lab.folder.scenario, scenario)
    write_model(lab.folder.plan, plan)
    lab.target.share()
    if plan != before:
        lab.target.bound(plan)
    lab.control.post("/quotas/settle", {})


def _asked(standing: QuotaStanding) -> dict[str, object]:
    return {
        "what": standing.what.value,
        "used": standing.used,
        "limit": standing.limit,
        "borrowed": standing.borrowed,
    }


def _decide(
    lab: Lab,
    action: str,
    team: str,
    evidence: Mapping[str, object],
    now: datetime,
    user: str | None,
    about: PolicyResource | None = None,
) -> None:
    """Decide by the lab's rules, and put the decision into the log before anything follows from it."""
    asking, about = lab.user(user), about or PolicyResource(kind="team", name=team or lab.name)
    query = Query(
        subject=Subject(user=asking.name, team=asking.team, roles=asking.roles),
        action=action,
        resource=about.model_copy(update={"team": team}),
        evidence=dict(evidence),
        time=now,
    )
    decision = EmbeddedEngine(lab.folder).decide(query)
    body = {"query": query.model_dump(mode="json"), "decision": decision.model_dump(mode="json")}
    lab.client("/control", "platform").post("/decisions", body)
    if not decision.allow:
        raise RefusedError(" ".join(reason.message for reason in decision.reasons), "See: archlab quota")
