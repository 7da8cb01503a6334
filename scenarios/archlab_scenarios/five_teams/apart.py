"""Truths about neighbours: what holds a rush, whom a used-up quota really stops, what borrowing does, and a design."""

from __future__ import annotations

from fractions import Fraction

from archlab.experiments.holding import held
from archlab.experiments.scoring import judge
from archlab.spec.airline import Scoreboard
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Variant
from archlab.spec.tenancy import Isolation
from archlab_scenarios.five_teams import books

REQUEST_CORE_MS, ROW_CORE_US = 1, 25
"""What a request and a row of it cost a core, as the question states it."""
LOUD = "revenue"
TIGHT = "customer-care"
"""The team of `lent-not-raised`."""
LOST = 20
"""Where refusals were not counted: one in so many requests may get no answer before a team counts as refused."""


def what_holds_it(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: the least that keeps a rush below the team's part of the shared pool."""
    team = evidence.scenario.team(LOUD)
    rate, rows = int(evidence.scenario.knobs["noise-rate"]), int(evidence.scenario.knobs["noise-rows"])
    part = fair_cores(evidence)
    taken, limited = (cores(r, rows) for r in (rate, min(rate, team.requests_per_second)))
    answer = "nothing" if taken <= part else "limit" if limited <= part else "share"
    facts = {"taken": float(taken), "limited": float(limited), "part": float(part), "limit": team.requests_per_second}
    return Truth(answer=answer, facts=facts)


def cores(rate: int, rows: int) -> Fraction:
    """What so many requests a second of so many rows keep busy."""
    return rate * (Fraction(REQUEST_CORE_MS, 1000) + rows * Fraction(ROW_CORE_US, 10**6))


def fair_cores(evidence: Evidence) -> Fraction:
    """The loud team's part, by weight, of the cores that the shared pool holds with all teams in it."""
    weights = {t.name: t.weight for t in evidence.scenario.teams if books.models_of(evidence.scenario, t.name)}
    plan = books.all_shared(evidence)
    held = sum(r.replicas * r.cpu_millicores for r in plan.reservations if r.unit == books.SHARED)
    return Fraction(held * weights[LOUD], 1000 * sum(weights.values()))


def quota_that_bites(evidence: Evidence, _variant: Variant) -> Truth:
    """Forecast: whose callers were refused on the day for which two quotas were set."""
    teams = (books.knob(evidence, "cut-often"), books.knob(evidence, "cut-daily"))
    days = books.whole_days(evidence)
    if len(days) < 2:
        return Truth(
            answer=None, blocked="Only one whole day is on the books. Set both quotas, then: archlab clock advance 1d"
        )
    wanted = {t: percent_of(evidence, t) for t in teams}
    if open_yet := [t for t in teams if evidence.scenario.team(t).quotas.requests_per_day != wanted[t]]:
        said = "; ".join(f"archlab quota set {t} requests {wanted[t]}" for t in open_yet)
        return Truth(answer=None, blocked=f"Not set as the question says: {said}; then archlab clock advance 1d")
    if evidence.scenario.borrow_quotas:
        return Truth(answer=None, blocked="Borrowing is on: archlab quota borrow off, then archlab clock advance 1d")
    refused = [t for t in books.TEAMS if is_refused(evidence, days[-1], t)]
    told = [f"{t}: {refusals(evidence, days[-1], t):,}" for t in books.TEAMS]
    return Truth(answer=refused or ["none"], facts={"told": ", ".join(told), "quotas": str(wanted).strip("{}")})


def refusals(evidence: Evidence, day: Scoreboard, team: str) -> int:
    """Replayed requests of a team's callers that a quota refused on a day.

    In evidence from before refusals were counted: those without an answer, where they are more than a machine loses.
    """
    scores = [score for _, score in books.rows(evidence, day, team)]
    if all(score.limited is not None for score in scores):
        return sum(score.limited or 0 for score in scores)
    missing, asked = sum(score.missing for score in scores), sum(score.requests for score in scores)
    return missing if LOST * missing > asked else 0


def is_refused(evidence: Evidence, day: Scoreboard, team: str) -> bool:
    """Whether any were."""
    return refusals(evidence, day, team) > 0


def percent_of(evidence: Evidence, team: str) -> int:
    """The quota of the question: a share of what the team asked on the lab's first whole day."""
    return (
        books.asked(evidence, books.whole_days(evidence)[0], team) * int(evidence.scenario.knobs["cut-percent"]) // 100
    )


def lent_not_raised(evidence: Evidence, _variant: Variant) -> Truth:
    """State: a whole day under the tight quota, nobody refused, and nobody's quota raised for it."""
    tight = int(evidence.scenario.knobs["tight-quota"])
    days = books.whole_days(evidence)
    quota = evidence.scenario.team(TIGHT).quotas.requests_per_day
    last = days[-1] if days else None
    needed = books.asked(evidence, last, TIGHT) if last else 0
    refused = sum(refusals(evidence, last, t) for t in books.TEAMS) if last else 0
    reached = last is not None and not refused and quota == tight and needed > tight
    borrowing = "on" if evidence.scenario.borrow_quotas else "off"
    return Truth(
        answer=reached,
        facts={"needed": needed, "refused": refused, "quota": quota or 0, "borrowing": borrowing},
        saw=f"{TIGHT}'s quota is {'not set' if quota is None else f'{quota:,} requests a day'}, borrowing is "
        f"{borrowing}, and on your last whole day {refused:,} replayed requests were refused.",
        looked_for=f"a quota of {tight:,} for {TIGHT}, and a whole business day in which nobody was refused.",
    )


def hold_the_neighbour(evidence: Evidence, _variant: Variant) -> Truth:
    """Design: what the trial says."""
    return judge(evidence)


def all_have_servers(evidence: Evidence) -> bool:
    """Whether the submitted design gives every team servers of its own."""
    trial = evidence.design
    teams = trial.submitted.overrides.teams if trial else {}
    return all((change := teams.get(t)) and change.isolation is Isolation.POOL for t in books.TEAMS)


def nobody_is_held(evidence: Evidence) -> bool:
    """Whether nothing stood between the noisy team and the others, and they felt it."""
    trial = evidence.design
    if trial is None or held(trial.submitted, trial):
        return False
    noises = [load.noise for load in trial.submitted.loads if load.noise]
    return bool(noises) and all(noise.isolation is Isolation.NONE for noise in noises)
