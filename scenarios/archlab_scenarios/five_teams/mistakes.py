"""Answers that known misconceptions lead to, computed for the learner's own variant. Named in the questions."""

from __future__ import annotations

from archlab.ledger.sharing import Rule
from archlab.spec.access import PLATFORM_TEAM, May
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.five_teams import apart, books, lending, paying, standing


def servers_for_everybody(evidence: Evidence, _variant: Variant) -> bool:
    """hold-the-neighbour: a pool for each team."""
    return apart.all_have_servers(evidence)


def hope(evidence: Evidence, _variant: Variant) -> bool:
    """hold-the-neighbour: nothing stood between the noisy team and the others."""
    return apart.nobody_is_held(evidence)


def over_means_refused(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """quota-that-bites: whoever asks more than the quota is refused, whenever it asks."""
    if int(evidence.scenario.knobs["cut-percent"]) > 100:
        return None
    return [books.knob(evidence, "cut-often"), books.knob(evidence, "cut-daily")]


def everybody_is_cut(evidence: Evidence, _variant: Variant) -> list[str]:
    """quota-that-bites: a quota that is set stops somebody, whatever it is."""
    return [books.knob(evidence, "cut-often")]


def raised_again(evidence: Evidence, _variant: Variant) -> bool:
    """lent-not-raised: the quota was raised after all."""
    quota = evidence.scenario.team(apart.TIGHT).quotas.requests_per_day
    return (
        quota is not None
        and quota > int(evidence.scenario.knobs["tight-quota"])
        and len(books.whole_days(evidence)) > 1
    )


def still_tight(evidence: Evidence, _variant: Variant) -> bool:
    """lent-not-raised: the quota stands, nothing is borrowed, and callers are refused."""
    quota = evidence.scenario.team(apart.TIGHT).quotas.requests_per_day
    return quota == int(evidence.scenario.knobs["tight-quota"]) and not evidence.scenario.borrow_quotas


def memory_is_all(evidence: Evidence, _variant: Variant) -> list[str]:
    """what-quotas-say: only what a team's own models take counts; that servers are shared by all is not seen."""
    refused = []
    for key, changes in standing.TRIED.items():
        owner = next(iter(changes.teams), "") or evidence.scenario.model(next(iter(changes.models))).team
        if any(s.team == owner and s.what.value == "memory" for s in standing.broken(evidence, changes)):
            refused.append(key)
    return refused or ["none"]


def all_fits(_evidence: Evidence, _variant: Variant) -> list[str]:
    """what-quotas-say: nothing is refused."""
    return ["none"]


def allocated_for_avoidable(evidence: Evidence, _variant: Variant) -> float:
    """leaving-saves: the platform saves what the team was charged."""
    return books.usd(paying.leaving(evidence, books.knob(evidence, "leaver"))[1])


def lone_replica(evidence: Evidence, _variant: Variant) -> float:
    """leaving-saves: one replica of each model, where two are held."""
    return books.usd(paying.leaving(evidence, books.knob(evidence, "leaver"))[0]) / 2


def split_evenly(evidence: Evidence, _variant: Variant) -> float | None:
    """fair-share: every team the same, whatever causes the cost."""
    return _share(evidence, Rule.EVEN)


def split_by_size(evidence: Evidence, _variant: Variant) -> float | None:
    """fair-share: by what each team holds."""
    return _share(evidence, Rule.PEAK)


def split_by_use(evidence: Evidence, _variant: Variant) -> float | None:
    """fair-share: by what each team used."""
    return _share(evidence, Rule.USE)


def _share(evidence: Evidence, rule: Rule) -> float | None:
    if not books.whole_days(evidence) or paying.RULES[books.knob(evidence, "cost-driver")] is rule:
        return None
    shares = paying.share_by_rule(evidence, books.knob(evidence, "split-team"))
    return books.usd(shares[rule]) if shares else None


def by_the_bill(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """dearest-answer: ranks teams by what they cost, not by what an answer of theirs costs."""
    if not (days := books.whole_days(evidence)):
        return None
    day = days[-1]
    return sorted(paying.ORDERED, key=lambda t: books.cost(evidence, day, t), reverse=True)


def by_replayed_requests(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """dearest-answer: divides by replayed requests, as if each were one of the business's."""
    if not (days := books.whole_days(evidence)):
        return None
    answered = {t: sum(s.on_time for _, s in books.rows(evidence, days[-1], t)) for t in paying.ORDERED}
    if not all(answered.values()):
        return None
    each = {t: books.cost(evidence, days[-1], t) / answered[t] for t in paying.ORDERED}
    return sorted(each, key=lambda t: each[t], reverse=True)


def written_off(evidence: Evidence, _variant: Variant) -> bool:
    """job-on-the-bill: the line was set to nothing."""
    booked = paying.booked(evidence)
    return bool(booked) and all(cost <= 0 for cost in booked.values())


def spread_over_all(evidence: Evidence, _variant: Variant) -> bool:
    """job-on-the-bill: the job was made a cost that all share."""
    return paying.booked(evidence).get(PLATFORM_TEAM, 0) > 0


def lent_too_much(evidence: Evidence, _variant: Variant) -> bool:
    """just-enough: the model's files may be read as well."""
    return any(g.may is May.READ for g in lending.lent_grants(evidence))


def lent_by_operator(evidence: Evidence, _variant: Variant) -> bool:
    """just-enough: whoever runs the platform decided about another team's model."""
    grants = lending.lent_grants(evidence)
    owner = evidence.scenario.model(books.knob(evidence, "partner-model")).team
    wide = any(g.may is May.READ for g in grants)
    return not wide and any(d.query.subject.team != owner for d in lending.decided_by(evidence, grants))


def barred_from_asking(evidence: Evidence, variant: Variant) -> bool:
    """lent-narrowly: the barred team may not even ask."""
    return "the barred team asks a model" in lending.missed(evidence, variant, "deny")


def any_column_will_do(evidence: Evidence, variant: Variant) -> bool:
    """lent-narrowly: the view goes out with the column, as long as some column is left out."""
    return "the view without other columns only" in lending.missed(evidence, variant, "allow")


def any_reason_will_do(evidence: Evidence, variant: Variant) -> bool:
    """lent-narrowly: a reason of blanks is one."""
    return "no reason" in lending.missed(evidence, variant, "allow")
