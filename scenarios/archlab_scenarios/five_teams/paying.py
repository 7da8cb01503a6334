"""Truths about money: what leaving saves, which split fits, who can never pay, what to commit to, whose a record is."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

from archlab.ledger.allocation import Owners
from archlab.ledger.sharing import Rule, Section, sections, split
from archlab.spec.base import NanoUsd
from archlab.spec.callers import ClassificationValue
from archlab.spec.grading import Evidence, Truth
from archlab.spec.money import Basis, LineKind, Resource, Usage, UsageKind
from archlab.spec.scenario import Mode, Model, Variant
from archlab_scenarios.five_teams import books

RULES = {
    "for the busiest hour": Rule.PEAK,
    "by the processor time that models take": Rule.USE,
    "once for every team that is on it": Rule.EVEN,
}
"""Which rule follows what causes a cost, by the knob `cost-driver`."""
HOURS_A_WEEK = 168
TRAINING_HOURS_A_WEEK = 6
RUN_CORES = 4
NO_ANSWER = (
    "No answer of {teams} was of use on your last whole day, so it has no price. See why (archlab score), then: "
    "archlab clock advance 1d"
)
ORDERED = ("operations", "customer-care", "network-planning", "revenue")


def leaving_saves(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: by how much less capacity is paid for when a team's online models leave the platform."""
    team = books.knob(evidence, "leaver")
    if blocked := _stays(evidence, team):
        return Truth(answer=None, blocked=blocked)
    avoidable, allocated = leaving(evidence, team)
    facts = {
        "avoidable": books.usd(avoidable),
        "allocated": books.usd(allocated),
        "left": books.usd(allocated - avoidable),
    }
    return Truth(answer=books.usd(avoidable), facts=facts)


def leaving(evidence: Evidence, team: str) -> tuple[NanoUsd, NanoUsd]:
    """What 30 days of capacity cost less without a team's online models, and what they are charged for it now."""
    before = books.holding(evidence, evidence.scenario)
    models = tuple(m for m in evidence.scenario.models if m.team != team or m.mode is not Mode.ONLINE)
    after = books.holding(evidence, evidence.scenario.model_copy(update={"models": models}))
    return sum(before.values()) - sum(after.values()), before.get(team, 0)


def _stays(evidence: Evidence, team: str) -> str:
    """What to do where a team has nothing online to leave with."""
    if any(m.mode is Mode.ONLINE for m in books.models_of(evidence.scenario, team)):
        return ""
    names = " ".join(f"archlab set {m.name} mode online;" for m in books.models_of(evidence.scenario, team))
    return f"{team} has no online model in your lab, so nothing of it can leave. First: {names.rstrip(';')}"


def outside_offer(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: for whom an offer from outside pays."""
    team, percent = books.knob(evidence, "leaver"), int(evidence.scenario.knobs["offer-percent"])
    if blocked := _stays(evidence, team):
        return Truth(answer=None, blocked=blocked)
    avoidable, allocated = leaving(evidence, team)
    offer = Fraction(allocated * percent, 100)
    answer = "both" if offer < avoidable else "team-only" if offer < allocated else "nobody"
    facts = {"offer": books.usd(offer), "avoidable": books.usd(avoidable), "allocated": books.usd(allocated)}
    return Truth(answer=answer, facts=facts)


def fair_share(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: a team's share of what the platform holds for all, by the rule that follows its cause."""
    if not books.whole_days(evidence):
        return Truth(answer=None, blocked=books.NO_DAY)
    team, rule = books.knob(evidence, "split-team"), RULES[books.knob(evidence, "cost-driver")]
    shares = share_by_rule(evidence, team)
    if not shares:
        return Truth(answer=None, blocked=f"Nothing of {team}'s is on the bill yet: archlab clock advance 1d")
    facts = {"rule": rule.value, **{r.value: books.usd(shares[r]) for r in Rule}}
    return Truth(answer=books.usd(shares[rule]), facts=facts)


def share_by_rule(evidence: Evidence, team: str) -> dict[Rule, NanoUsd]:
    """A team's share of the shared cost so far, by each rule; empty while nothing of its own is on the bill."""
    return next((dict(t.shares) for t in split(evidence.lines).teams if t.team == team), {})


def whose_bill_moves(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: whose bill changes by most dollars when the rule changes, and which way."""
    if not books.whole_days(evidence):
        return Truth(answer=None, blocked=books.NO_DAY)
    before, after = (Rule(name) for name in books.knob(evidence, "rule-change").split(" to "))
    changes = {t.team: t.total(after) - t.total(before) for t in split(evidence.lines).teams}
    if not any(changes.values()):
        return Truth(answer=None, blocked="On your bill so far both rules say the same: archlab clock advance 1d")
    ordered = sorted(changes, key=lambda t: abs(changes[t]), reverse=True)
    table = "\n".join(f"| {t} | {books.usd(changes[t]):+.3f} |" for t in ordered)
    most, next_one = (abs(changes[t]) for t in ordered[:2])
    if most < next_one * 1.05:
        near = (books.usd(next_one), books.usd(most))
        return Truth(
            answer=None, facts={"table": table}, interval=near, saw="Two teams' bills change by nearly as much."
        )
    return Truth(answer=f"{ordered[0]}-{'more' if changes[ordered[0]] > 0 else 'less'}", facts={"table": table})


def never_pays(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: teams whose answers would not be worth their cost if every one of them had been right."""
    days = books.whole_days(evidence)
    if not days:
        return Truth(answer=None, blocked=books.NO_DAY)
    worth = {t: best_worth(evidence, t) for t in books.TEAMS}
    spent = {t: books.cost(evidence, days[-1], t) for t in books.TEAMS}
    lost = [t for t in books.TEAMS if worth[t] < spent[t]]
    table = "\n".join(f"| {t} | {books.usd(worth[t]):.2f} | {books.usd(spent[t]):.2f} |" for t in books.TEAMS)
    return Truth(answer=lost or ["none"], facts={"table": table})


def best_worth(evidence: Evidence, team: str) -> NanoUsd:
    """What a team's requests of the last whole day could be worth at best, in nano-dollars."""
    day = books.whole_days(evidence)[-1]
    return sum(s.requests * m.caller.represents * best(m) for m, s in books.rows(evidence, day, team))


def best(model: Model) -> NanoUsd:
    """The most that one answer can be worth."""
    value = model.caller.value
    return max(value.true_positive, value.true_negative) if isinstance(value, ClassificationValue) else value.right


def dearest_answer(evidence: Evidence, _variant: Variant) -> Truth:
    """Order: what a thousand useful answers of each team cost, idle included."""
    days = books.whole_days(evidence)
    if not days:
        return Truth(answer=None, blocked=books.NO_DAY)
    useful = {t: books.useful(evidence, days[-1], t) for t in ORDERED}
    if none := [t for t in ORDERED if not useful[t]]:
        return Truth(answer=None, blocked=NO_ANSWER.format(teams=" and ".join(none)))
    each = {t: Fraction(1000 * books.cost(evidence, days[-1], t), useful[t]) for t in ORDERED}
    ordered = sorted(ORDERED, key=lambda t: each[t], reverse=True)
    table = "\n".join(f"| {t} | {books.usd(each[t]):.4f} |" for t in ordered)
    return Truth(answer=list(ordered), facts={"table": table})


def one_profile_for_all(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: which workloads are worth a commitment that is paid around the clock."""
    percent = int(evidence.scenario.knobs["reserved-percent"])
    used = shares_of_time(evidence)
    table = "\n".join(f"| {name} | {float(100 * share):.1f} % |" for name, share in used.items())
    worth = [name for name, share in used.items() if 100 * share > percent]
    return Truth(answer=worth or ["none"], facts={"table": table, "percent": percent})


def shares_of_time(evidence: Evidence) -> dict[str, Fraction]:
    """The share of the time that each workload of the question holds its cores."""
    run = evidence.scenario.model("block-time-buffer")
    seconds = Fraction(run.batch_cpu_millicore_seconds, 1000 * RUN_CORES)
    day = timedelta(days=1) // timedelta(seconds=1)
    return {
        "pool": Fraction(1),
        "busy-server": Fraction(int(evidence.scenario.knobs["busy-hours"]), 24),
        "nightly-run": seconds * (timedelta(days=1) // run.batch_every) / day,
        "training": Fraction(TRAINING_HOURS_A_WEEK, HOURS_A_WEEK),
        "test-lab": Fraction(5 * int(evidence.scenario.knobs["test-hours"]), HOURS_A_WEEK),
    }


def whose_record(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: where a usage record of a job ends on the bill."""
    team, model = books.knob(evidence, "record-team"), books.knob(evidence, "record-model")
    scenario = evidence.scenario
    settled = Owners.of(scenario).allocated(
        Usage(
            id="job",
            start=scenario.starts,
            end=scenario.starts + timedelta(hours=1),
            team="" if team == "nobody" else team,
            model=model,
            mode="batch",
            unit="job",
            resource=Resource.BATCH_CPU,
            kind=UsageKind.CONSUMED,
            quantity=3_600_000,
            basis=Basis.METERED,
        )
    )
    known = {m.name: m.team for m in scenario.models}
    answer = settled.team if not settled.reason else "by-model" if team in books.TEAMS else "by-team"
    return Truth(
        answer=answer,
        facts={"reason": settled.reason or f"{settled.team} is a team of the lab", "owner": known.get(model, "nobody")},
    )


def job_on_the_bill(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the job that named nobody is paid by the team that ran it, by a correction and nothing else."""
    team = books.knob(evidence, "job-team")
    job = [line for line in evidence.lines if line.kind is LineKind.UNALLOCATED and not line.corrects]
    cost = sum(line.cost_nanousd for line in job)
    paid = {t: c for t, c in booked(evidence).items() if c and t}
    left = sections(evidence.lines)[Section.UNALLOCATED]
    told = ", ".join(f"{t} {books.usd(c):+.4f}" for t, c in sorted(paid.items())) or "nobody pays"
    return Truth(
        answer=cost > 0 and left == 0 and paid == {team: cost},
        facts={"cost": books.usd(cost), "team": team, "booked": told},
        saw=f"{books.usd(left):.4f} of the job's {books.usd(cost):.4f} USD is nobody's; corrections: {told}.",
        looked_for=f"the job's line as it was recorded, and a correction by which {team} pays all of it.",
    )


def booked(evidence: Evidence) -> dict[str, NanoUsd]:
    """What corrections came to, by team; the empty name is nobody."""
    found: dict[str, NanoUsd] = {}
    for line in evidence.lines:
        if line.corrects:
            found[line.team] = found.get(line.team, 0) + line.cost_nanousd
    return found
