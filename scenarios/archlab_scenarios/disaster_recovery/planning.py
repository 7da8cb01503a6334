"""Prevent: what to hold beforehand, for whom, and what it is worth."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from archlab.spec.grading import Evidence, Truth
from archlab.spec.money import Resource
from archlab.spec.regions import Part, Standby, Tier
from archlab.spec.scenario import Variant
from archlab_scenarios.disaster_recovery import books

REGISTERED_S = {"first": 20, "second": 130, "third": 250, "fourth": 390, "fifth": 610}
"""When each version was registered, in seconds after both copies were last made together."""
OWN_WRITE_MS = Fraction(4)
"""A write in one region; of the question's text."""
KM_PER_MS = Fraction(200)
"""Light in fibre."""
YEAR_S = 365 * 86_400
MONTH_S = 30 * 86_400


def worth_first(evidence: Evidence, _variant: Variant) -> Truth:
    """Order: models by what an hour without answers costs, dearest first."""
    if not books.whole_days(evidence):
        return Truth(answer=None, blocked=books.NO_DAY)
    hour = {model: 3600 * books.missed_per_second(evidence, model) for model in books.MODELS}
    ranked = sorted(hour, key=lambda model: hour[model], reverse=True)
    table = "\n".join(f"| {model} | {books.usd(hour[model]):,.2f} |" for model in ranked)
    return Truth(answer=ranked, facts={"table": table})


def cheapest_for_promise(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: the cheapest posture of the critical tier that keeps a promise; of equally dear ones the lesser."""
    answers_s, loss_s = (float(books.knob(evidence, name)) for name in ("promise-answers-s", "promise-loss-s"))
    kept, lines = [], []
    for posture in Standby:
        expected = books.expectation(evidence, Tier.CRITICAL, posture)
        cost = books.month(evidence, Tier.CRITICAL, posture)
        good = (expected.answers_rto_s or 0) <= answers_s and (expected.rpo_s or 0) <= loss_s
        kept += [(cost, posture)] if good else []
        figures = f"{expected.answers_rto_s or 0:g} s | {expected.rpo_s or 0:g} s | {books.usd(cost):.2f}"
        lines.append(f"| {posture.value} | {figures} |")
    answer = min(kept, key=lambda one: one[0])[1].value if kept else "none"
    return Truth(answer=answer, facts={"table": "\n".join(lines)})


def how_many_losses(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: losses of a region in a year from which warm standby of a tier pays, against pilot light."""
    if not books.whole_days(evidence):
        return Truth(answer=None, blocked=books.NO_DAY)
    extra, each = standby_against_pilot(evidence)
    year = extra * Fraction(YEAR_S, MONTH_S)
    saved_s = seconds_saved(evidence)
    return Truth(
        answer=float(year / (each * saved_s)),
        facts={"year": books.usd(year), "saved_s": float(saved_s), "saved": books.usd(each * saved_s)},
    )


CHOSEN = Tier.CRITICAL


def standby_against_pilot(evidence: Evidence) -> tuple[Fraction, Fraction]:
    """What warm standby costs more in 30 days; what a second without answers of the tier's models costs."""
    cost = {p: books.month(evidence, CHOSEN, p) for p in (Standby.WARM_STANDBY, Standby.PILOT_LIGHT)}
    each = sum((books.missed_per_second(evidence, m) for m in books.in_tier(evidence, CHOSEN)), Fraction(0))
    return Fraction(cost[Standby.WARM_STANDBY] - cost[Standby.PILOT_LIGHT]), each


def seconds_saved(evidence: Evidence) -> Fraction:
    """By how much sooner its models answer."""
    rto = {
        p: books.expectation(evidence, CHOSEN, p).answers_rto_s or 0.0
        for p in (Standby.WARM_STANDBY, Standby.PILOT_LIGHT)
    }
    return Fraction(rto[Standby.PILOT_LIGHT]) - Fraction(rto[Standby.WARM_STANDBY])


def keep_how_many(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: fewest backups that always hold one from before a mistake that is noticed late."""
    noticed_s, every = int(books.knob(evidence, "noticed-after-min")) * 60, books.registry(evidence).backup_every_s
    needed = ceil(Fraction(noticed_s, every)) + 1
    price = evidence.prices.at(Resource.STORAGE, evidence.clock)
    stored = needed * books.pair(evidence).state_mib * 1024 * MONTH_S
    cost = stored * Fraction(price.nanousd, price.per)
    return Truth(answer=needed, facts={"needed": needed, "every": every, "cost": books.usd(cost)})


def what_comes_back(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: versions of which both the row and the file are in a copy from before the loss."""
    lost, held = int(books.knob(evidence, "lost-after-s")), books.pair(evidence)
    rows, files = held.of(Part.REGISTRY).backup_every_s, held.of(Part.ARTIFACTS).backup_every_s
    row_copy, file_copy = lost // rows * rows, lost // files * files
    usable = [key for key, at in REGISTERED_S.items() if at <= min(row_copy, file_copy)]
    return Truth(
        answer=usable or ["none"],
        facts={"rows": rows, "files": files, "row_copy": row_copy, "file_copy": file_copy},
    )


def how_far_apart(evidence: Evidence, _variant: Variant) -> Truth:
    """Numeric: kilometres between two regions at which a job with synchronous writes just ends in time."""
    one_way = allowed_ms(evidence)
    return Truth(
        answer=float(one_way * KM_PER_MS),
        facts={
            "each": float(2 * one_way + OWN_WRITE_MS),
            "one_way": float(one_way),
            "km": float(one_way * KM_PER_MS),
            "yours_s": float(
                int(books.knob(evidence, "job-writes"))
                * (2 * Fraction(books.pair(evidence).latency_ms) + OWN_WRITE_MS)
                / 1000
            ),
        },
    )


def allowed_ms(evidence: Evidence) -> Fraction:
    """One way, at most."""
    window_ms = int(books.knob(evidence, "job-minutes")) * 60_000
    return (Fraction(window_ms, int(books.knob(evidence, "job-writes"))) - OWN_WRITE_MS) / 2
