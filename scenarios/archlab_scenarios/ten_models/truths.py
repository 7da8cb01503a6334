"""What is right, computed from the learner's own lab: one function per question, pure over evidence."""

from __future__ import annotations

from fractions import Fraction

from archlab.spec.airline import ModelScore, Scoreboard
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Mode, Model, Variant
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models.capacity import half_hourly, leave_the_pool, missed_run, worth_a_slice
from archlab_scenarios.ten_models.gatekeeping import leak_refused, leak_rolled_back
from archlab_scenarios.ten_models.margins import clear_margin, margin_cases
from archlab_scenarios.ten_models.measured import design_measured, replicas_at_peak, slowest_materialisation
from archlab_scenarios.ten_models.outages import what_goes_on

__all__ = [
    "batch_day_net",
    "beyond_rescue",
    "break_even_volume",
    "cheaper_and_fresh",
    "cheapest_resilient",
    "clear_margin",
    "design_measured",
    "half_hourly",
    "leak_refused",
    "leak_rolled_back",
    "leave_the_pool",
    "margin_cases",
    "missed_run",
    "replicas_at_peak",
    "second_replica",
    "shared_cost",
    "slowest_materialisation",
    "unit_cost",
    "what_goes_on",
    "worth_a_slice",
]

HOURS_AWAY = 4
"""How long a lone replica is away on a business day (the text of `second-replica` says the same)."""

TIE = Fraction(5, 100)
"""Unit costs closer than this share count as equal."""

BATCH_CANDIDATES = ("flight-time", "airport-congestion")
"""Their savings make the target of `cheaper-and-fresh`."""

FRESH_SHARE = Fraction(98, 100)


def cheapest_resilient(evidence: Evidence, _variant: Variant) -> Truth:
    """departure-delay: one replica, or batch runs of which one may fail, whichever costs less."""
    days = eco.full_days(evidence)
    if not days:
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    model = evidence.scenario.model("departure-delay")
    requests = eco.real_requests(model, eco.row(days[-1], model.name))
    runs = eco.runs_needed(model, survives_failures=1)
    one = eco.reserved_per_day(evidence, model, 1)
    batch = eco.batch_per_day(evidence, model, requests, runs)
    return Truth(
        answer="one-replica" if one < batch else "every-30-minutes",
        facts={
            "one": eco.usd(one),
            "two": eco.usd(2 * one),
            "batch": eco.usd(batch),
            "runs": runs,
            "hourly": eco.usd(eco.batch_per_day(evidence, model, requests, eco.runs_needed(model))),
            "requests": requests,
        },
    )


def break_even_volume(evidence: Evidence, _variant: Variant) -> Truth:
    """flight-time: by what factor must demand grow until look-ups eat up what the nightly batch saves?"""
    days = eco.full_days(evidence)
    if not days:
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    model = evidence.scenario.model("flight-time")
    today = eco.real_requests(model, eco.row(days[-1], model.name))
    online = eco.reserved_per_day(evidence, model, eco.ONLINE_AT_START[model.name])
    runs = eco.batch_per_day(evidence, model, 0, 1)
    lookup = eco.batch_per_day(evidence, model, 1, 0)
    even = (online - runs) / lookup
    return Truth(
        answer=float(even / today),
        facts={
            "even": round(even),
            "today": today,
            "online": eco.usd(online),
            "run": eco.usd(runs),
            "lookup_million": eco.usd(lookup * 1_000_000),
            "factor": float(even / today),
        },
    )


def batch_day_net(evidence: Evidence, _variant: Variant) -> Truth:
    """flight-time: what its first whole day in batch really netted."""
    name = "flight-time"
    days = eco.full_days(evidence)
    scores = [eco.row(d, name) for d in days]
    ran = [s for s in scores if s.mode == Mode.BATCH.value and s.idle_nanousd == 0 and s.requests > 0]
    if not ran:
        return Truth(
            answer=None,
            blocked="archlab set flight-time mode batch; then archlab clock advance 1d until a whole business day "
            "has been answered from batch.",
        )
    first = ran[0]
    before = [s for s in scores if s.mode == Mode.ONLINE.value]
    facts: dict[str, str | int | float] = {
        "net": eco.usd(first.net_nanousd),
        "value": eco.usd(first.value_nanousd),
        "cost": eco.usd(eco.cost(first)),
        "quality": round(first.quality, 3) if first.quality is not None else "unknown",
        "fresh": 100 * first.on_time / first.requests,
        "before_net": round(eco.usd(before[-1].net_nanousd), 3) if before else "not measured",
        "before_value": round(eco.usd(before[-1].value_nanousd), 3) if before else "not measured",
        "before_cost": round(eco.usd(eco.cost(before[-1])), 3) if before else "not measured",
    }
    return Truth(answer=eco.usd(first.net_nanousd), facts=facts)


def beyond_rescue(evidence: Evidence, _variant: Variant) -> Truth:
    """Which models earn less than the cheapest feasible way to run them costs?"""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return Truth(answer=None, blocked=_NEED_ONLINE_DAY)
    lost: list[str] = []
    lines: list[str] = []
    for model in eco.started_online(evidence):
        score = eco.row(day, model.name)
        least = eco.cheapest_feasible_per_day(evidence, model, eco.real_requests(model, score))
        if score.value_nanousd < least:
            lost.append(model.name)
        lines.append(f"| {model.name} | {eco.usd(score.value_nanousd):.2f} | {eco.usd(least):.2f} |")
    return Truth(answer=lost or ["none"], facts={"table": "\n".join(lines), "lost": ", ".join(lost) or "none of them"})


def second_replica(evidence: Evidence, _variant: Variant) -> Truth:
    """For which models does a second replica save more than it costs, if a lone one is away for some hours a day?"""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return Truth(answer=None, blocked=_NEED_ONLINE_DAY)
    pays: list[str] = []
    lines: list[str] = []
    for model in eco.started_online(evidence):
        loss = _lost_while_away(model, eco.row(day, model.name))
        replica = eco.reserved_per_day(evidence, model, 1)
        if loss > replica:
            pays.append(model.name)
        lines.append(f"| {model.name} | {eco.usd(loss):.2f} | {eco.usd(replica):.2f} |")
    return Truth(answer=pays or ["none"], facts={"table": "\n".join(lines), "hours": HOURS_AWAY})


def unit_cost(evidence: Evidence, _variant: Variant) -> Truth:
    """Four models by what one useful answer costs, dearest first; near-equal ones are tied."""
    days = eco.full_days(evidence)
    if not days:
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    costs: dict[str, Fraction] = {}
    for name in ("flight-time", "delay-recovery", "missed-connection", "aircraft-reliability"):
        model, score = evidence.scenario.model(name), eco.row(days[-1], name)
        if not (useful := eco.real_on_time(model, score)):
            return Truth(answer=None, blocked=f"{name} gave no answer in time on your last whole business day.")
        costs[name] = Fraction(1000 * eco.cost(score), useful)
    ordered = sorted(costs, key=lambda n: costs[n], reverse=True)
    table = "\n".join(f"| {name} | {eco.usd(costs[name]):.4f} |" for name in ordered)
    return Truth(answer=_tied(ordered, costs), facts={"table": table})


def shared_cost(evidence: Evidence, _variant: Variant) -> Truth:
    """Whose charge falls by the largest share when the platform is split by requests instead of by direct cost?"""
    days = eco.full_days(evidence)
    if not days:
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    day = days[-1]
    by_cost: dict[str, int] = {}
    by_requests: dict[str, int] = {}
    for model in evidence.scenario.models:
        score = eco.row(day, model.name)
        by_cost[model.team] = by_cost.get(model.team, 0) + eco.cost(score)
        by_requests[model.team] = by_requests.get(model.team, 0) + eco.real_requests(model, score)
    total_cost, total_requests = sum(by_cost.values()), sum(by_requests.values())
    if not all(by_cost.values()) or not total_requests:
        return Truth(answer=None, blocked="Nothing was asked on your last whole business day.")
    before = {team: Fraction(cost, total_cost) for team, cost in by_cost.items()}
    after = {team: Fraction(requests, total_requests) for team, requests in by_requests.items()}
    change = {team: after[team] / before[team] - 1 for team in before}
    ordered = sorted(change, key=lambda team: change[team])
    lines = [
        f"| {team} | {float(before[team]):.1%} | {float(after[team]):.1%} | {float(change[team]):+.0%} |"
        for team in ordered
    ]
    return Truth(answer=ordered[0], facts={"table": "\n".join(lines), "shared": eco.usd(day.shared_nanousd)})


def cheaper_and_fresh(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the last whole day cost clearly less than the declared design would have, and kept every promise."""
    days = eco.full_days(evidence)
    if not days:
        return Truth(answer=None, blocked=eco.NO_FULL_DAY)
    day = days[-1]
    declared = eco.declared_cost(evidence, day)
    saved = declared - day.cost_nanousd
    possible = sum((eco.saving(evidence, evidence.scenario.model(m), day) for m in BATCH_CANDIDATES), Fraction(0))
    target = Fraction(9, 10) * possible
    stale = sorted(s.model for s in day.models if s.on_time < FRESH_SHARE * s.requests)
    unasked = sorted(m.name for m in eco.started_online(evidence) if not eco.row(day, m.name).requests)
    losing = sorted(needless_losses(evidence, eco.full_days(evidence)))
    facts: dict[str, str | int | float] = {
        "declared": eco.usd(declared),
        "cost": eco.usd(day.cost_nanousd),
        "saved": eco.usd(saved),
        "target": eco.usd(target),
        "net": eco.usd(day.net_nanousd),
    }
    saw = [f"saved {eco.usd(saved):.2f} of {eco.usd(target):.2f} USD on {day.since:%d %b}"]
    saw += [f"answers late, stale or missing: {', '.join(stale)}"] if stale else []
    saw += [f"not asked: {', '.join(unasked)}"] if unasked else []
    saw += [f"losing money although they need not: {', '.join(losing)}"] if losing else []
    return Truth(
        answer=saved >= target and not stale and not unasked and not losing,
        facts=facts,
        saw="; ".join(saw) + ".",
        looked_for=f"a last whole business day that cost {eco.usd(target):.2f} USD less than the design you started "
        f"from ({eco.usd(declared):.2f}), with at least 98 % of every model's answers in time and fresh, and no model "
        "at a loss that could earn its keep.",
    )


_NEED_ONLINE_DAY = (
    "This needs one whole business day with all seven models online, as the scenario declares them: advance the clock "
    "before you change modes (archlab reset takes you back)."
)


def _lost_while_away(model: Model, score: ModelScore) -> Fraction:
    """Worth that is lost while nobody answers: what the answers earned, and what each missing one costs."""
    requests = eco.real_requests(model, score)
    return (score.value_nanousd - requests * model.caller.value.late) * Fraction(HOURS_AWAY, 24)


def _tied(ordered: list[str], costs: dict[str, Fraction]) -> list[list[str]]:
    groups: list[list[str]] = []
    for name in ordered:
        if groups and costs[groups[-1][-1]] - costs[name] <= TIE * costs[groups[-1][-1]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def needless_losses(evidence: Evidence, days: tuple[Scoreboard, ...]) -> set[str]:
    """Models at a loss on the last day whose worth would pay for the cheapest feasible way to run them."""
    losing: set[str] = set()
    for model in eco.started_online(evidence):
        score = eco.row(days[-1], model.name)
        least = eco.cheapest_feasible_per_day(evidence, model, eco.real_requests(model, score))
        if score.net_nanousd < 0 and score.value_nanousd > least:
            losing.add(model.name)
    return losing
