"""Answers that known misconceptions lead to, computed for the learner's own variant. Named in questions.yaml."""

from __future__ import annotations

from archlab.spec.airline import Scoreboard
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Mode, Variant
from archlab_scenarios.ten_models import economics as eco
from archlab_scenarios.ten_models import gatekeeping as gate
from archlab_scenarios.ten_models import margins, truths

COMPARED = ("flight-time", "delay-recovery", "missed-connection", "aircraft-reliability")
"""The four models of `dearest-answer`."""


def replayed_for_real(evidence: Evidence, _variant: Variant) -> float:
    """break-even-volume: divides by the replayed requests, not by the business's."""
    model = evidence.scenario.model("flight-time")
    return _break_even(evidence) / eco.row(eco.full_days(evidence)[-1], model.name).requests


def lone_replica(evidence: Evidence, _variant: Variant) -> float:
    """break-even-volume: prices one replica, though two are reserved."""
    model = evidence.scenario.model("flight-time")
    runs, lookup = eco.batch_per_day(evidence, model, 0, 1), eco.batch_per_day(evidence, model, 1, 0)
    even = (eco.reserved_per_day(evidence, model, 1) - runs) / lookup
    return float(even / eco.real_requests(model, eco.row(eco.full_days(evidence)[-1], model.name)))


def requests_for_factor(evidence: Evidence, _variant: Variant) -> float:
    """break-even-volume: answers with the requests, not with how many times today's they are."""
    return _break_even(evidence)


def free_staleness(evidence: Evidence, _variant: Variant) -> float | None:
    """forecast-batch-day: the value stays as it was, and only the cost changes."""
    before = _last_online(evidence)
    if before is None:
        return None
    model = evidence.scenario.model("flight-time")
    batch = eco.batch_per_day(evidence, model, eco.real_requests(model, eco.row(before, model.name)), 1)
    return eco.usd(eco.row(before, model.name).value_nanousd - batch)


def nothing_changes(evidence: Evidence, _variant: Variant) -> float | None:
    """forecast-batch-day: nets what it netted online."""
    before = _last_online(evidence)
    return None if before is None else eco.usd(eco.row(before, "flight-time").net_nanousd)


def negative_net(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """beyond-rescue: whatever loses money as it runs now."""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return None
    return [m.name for m in eco.started_online(evidence) if eco.row(day, m.name).net_nanousd < 0] or ["none"]


def one_target_for_all(evidence: Evidence, _variant: Variant) -> list[str]:
    """second-replica: the same redundancy for every model."""
    return [m.name for m in eco.started_online(evidence)]


def missing_is_free(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """second-replica: counts what answers would have earned, not what missing ones are charged."""
    day = eco.last_day_online(evidence, eco.ONLINE_AT_START)
    if day is None:
        return None
    pays = []
    for model in eco.started_online(evidence):
        lost = eco.row(day, model.name).value_nanousd * truths.HOURS_AWAY / 24
        if lost > eco.reserved_per_day(evidence, model, 1):
            pays.append(model.name)
    return pays or ["none"]


def by_the_bill(evidence: Evidence, _variant: Variant) -> list[str]:
    """dearest-answer: ranks what the models cost, not what an answer costs."""
    day = eco.full_days(evidence)[-1]
    return sorted(COMPARED, key=lambda name: eco.cost(eco.row(day, name)), reverse=True)


def by_replayed_requests(evidence: Evidence, _variant: Variant) -> list[str]:
    """dearest-answer: divides by replayed requests as if each were one of the business's."""
    day = eco.full_days(evidence)[-1]
    each = {n: eco.cost(s) / s.on_time for n in COMPARED if (s := eco.row(day, n)).on_time}
    return sorted(each, key=lambda name: each[name], reverse=True) if len(each) == len(COMPARED) else list(COMPARED)


def still_champion(evidence: Evidence, _variant: Variant) -> bool:
    """leak-rolled-back: the version that knows too much was let through and is champion still."""
    leaky = gate.leaky_version(evidence)
    return leaky is not None and gate.champion_version(evidence) == leaky.version


def lets_it_through_again(evidence: Evidence, _variant: Variant) -> bool:
    """leak-refused: after the rollback the gate let the same version pass once more."""
    leaky = gate.leaky_version(evidence)
    asked = gate.decisions_on(evidence, leaky.version) if leaky else ()
    return len(asked) > 1 and asked[-1].decision.allow


def refuses_everything(evidence: Evidence, _variant: Variant) -> bool:
    """leak-refused: the version is refused, and under those rules nothing else was let through either."""
    leaky = gate.leaky_version(evidence)
    asked = gate.decisions_on(evidence, leaky.version) if leaky else ()
    return bool(asked) and not asked[-1].decision.allow and not truths.leak_refused(evidence, evidence.variant).answer


def nightly_for_all(evidence: Evidence, _variant: Variant) -> bool:
    """cheaper-and-fresh: a model answers from runs that are further apart than its caller's oldest features."""
    days = eco.full_days(evidence)
    if not days:
        return False
    day = days[-1]
    return any(
        model.mode is Mode.BATCH
        and model.batch_every > model.caller.max_age
        and (score := eco.row(day, model.name)).on_time < truths.FRESH_SHARE * score.requests
        for model in evidence.scenario.models
    )


def _break_even(evidence: Evidence) -> float:
    """Requests a day at which both designs cost the same."""
    model = evidence.scenario.model("flight-time")
    runs, lookup = eco.batch_per_day(evidence, model, 0, 1), eco.batch_per_day(evidence, model, 1, 0)
    return float((eco.reserved_per_day(evidence, model, eco.ONLINE_AT_START[model.name]) - runs) / lookup)


def _last_online(evidence: Evidence) -> Scoreboard | None:
    """The last whole day on which flight-time was answered online."""
    days = [d for d in eco.full_days(evidence) if eco.row(d, "flight-time").mode == Mode.ONLINE.value]
    return days[-1] if days else None


def more_is_always_better(evidence: Evidence, variant: Variant) -> bool:
    """clear-margin: what is clearly better is refused where less is better."""
    return "clearly better (less is better)" in margins.missed(evidence, variant, "deny")


def rollback_has_to_win(evidence: Evidence, variant: Variant) -> bool:
    """clear-margin: the way back is closed."""
    return margins.ROLLBACK in margins.missed(evidence, variant, "deny")


def missing_field_passes(evidence: Evidence, variant: Variant) -> bool:
    """clear-margin: a query that lacks a field is let through."""
    return "a field is missing" in margins.missed(evidence, variant, "allow")


def platform_is_one(_evidence: Evidence, _variant: Variant) -> list[str]:
    """what-goes-on: without its control plane everything stands still."""
    return ["none"]


def control_is_passive(evidence: Evidence, _variant: Variant) -> list[str]:
    """what-goes-on: nothing that matters depends on the unit but its own pages."""
    own = {"control": "decision-log", "registry": "registry-read"}[str(evidence.scenario.knobs["outage"])]
    keys = ("answers-computed", "answers-looked-up", "promotion", "registry-read", "decision-log", "clock")
    return [key for key in keys if key != own]


def one_control_plane(_evidence: Evidence, _variant: Variant) -> list[str]:
    """what-goes-on: callers are served, and everything else stops."""
    return ["answers-computed", "answers-looked-up"]
