"""Answers that known misconceptions lead to, computed for the learner's own variant. Named in the questions."""

from __future__ import annotations

from fractions import Fraction

from archlab.spec.drill_kinds import Replication
from archlab.spec.grading import Evidence
from archlab.spec.scenario import Variant
from archlab_scenarios.disaster_recovery import books, noticing, planning, promising, taking_over


def all_is_there(_evidence: Evidence, _variant: Variant) -> list[str]:
    """who-still-answers: a second region does everything that the first one did."""
    return [*books.MODELS, "registry-read", "registry-write", "score"]


def all_is_gone(_evidence: Evidence, _variant: Variant) -> list[str]:
    """who-still-answers: nothing works until somebody fails over."""
    return ["none"]


def registry_too(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """who-still-answers: what stands by in the second region takes writes as well."""
    found = noticing.probed_without_first(evidence)
    worked = [p.key for p in found.probes if p.succeeded == p.tried] if found else None
    return None if worked is None else [*worked, "registry-read", "registry-write"]


def automatic_always_acts(_evidence: Evidence, _variant: Variant) -> list[str]:
    """by-itself: automatic promotion takes over whatever it may lose."""
    return ["taken-over"]


def somebody_has_to(_evidence: Evidence, _variant: Variant) -> list[str]:
    """by-itself: a failover is always somebody's decision."""
    return ["nothing"]


def from_the_decision(evidence: Evidence, _variant: Variant) -> float | None:
    """rto-from-fault: only what the runbook took."""
    done = taking_over.newest_failover(evidence)
    return taking_over.parts(evidence, done)[2] if done else None


def nobody_decides(evidence: Evidence, _variant: Variant) -> float | None:
    """rto-from-fault: noticed, and done."""
    done = taking_over.newest_failover(evidence)
    if done is None:
        return None
    detection, _, runbook = taking_over.parts(evidence, done)
    return detection + runbook


def gave_up_sync(evidence: Evidence, _variant: Variant) -> bool:
    """writes-again: replication is async by now, and writes wait for the other region all the same."""
    facts = books.seen(evidence)
    asynchronous = books.registry(evidence).replication is Replication.ASYNCHRONOUS
    return asynchronous and facts.state.synchronous and any(one.line == "cut" for one in facts.regions)


def failed_over_for_a_line(evidence: Evidence, _variant: Variant) -> bool:
    """writes-again: a region that was fine was given up because the line was cut."""
    facts = books.seen(evidence)
    cuts = [f for f in facts.faults if f.what == "cut"]
    over = [t for t in facts.runbooks if t.runbook == "failover to"]
    return bool(cuts and over) and over[-1].began > cuts[-1].at and facts.state.primary != books.pair(evidence).names[0]


def accepted_a_loss(evidence: Evidence, _variant: Variant) -> bool:
    """back-on-two-legs: the failover went on although writes might be missing."""
    fault = books.lost_first(evidence)
    done = books.failover_after(evidence, fault) if fault else None
    return bool(done and done.accepted_loss)


def one_leg(evidence: Evidence, _variant: Variant) -> bool:
    """back-on-two-legs: the second region took over, lossless, and nothing stands behind it."""
    fault, state = books.lost_first(evidence), books.seen(evidence).state
    done = books.failover_after(evidence, fault) if fault else None
    return bool(done and not done.accepted_loss) and bool(state.lost)


def async_is_lossless(_evidence: Evidence, _variant: Variant) -> list[str]:
    """what-is-lost: whatever was acknowledged is in both regions."""
    return ["nothing"]


def only_the_lag(_evidence: Evidence, _variant: Variant) -> list[str]:
    """what-is-lost: never more than the lag of the line."""
    return ["moments"]


def taken_is_enough(_evidence: Evidence, _variant: Variant) -> list[str]:
    """never-restored: a backup that was taken restores."""
    return ["newest"]


def there_is_another(_evidence: Evidence, _variant: Variant) -> list[str]:
    """never-restored: the older backup is used, whether or not anybody knows that the newer one is damaged."""
    return ["older"]


def by_requests(evidence: Evidence, _variant: Variant) -> list[str] | None:
    """worth-first: who is asked most goes first."""
    if not books.whole_days(evidence):
        return None
    asked = {
        m: books.row(books.whole_days(evidence)[-1], m).requests * evidence.scenario.model(m).caller.represents
        for m in books.MODELS
    }
    return sorted(asked, key=lambda m: asked[m], reverse=True)


def by_tier(evidence: Evidence, _variant: Variant) -> list[str]:
    """worth-first: as the tiers say, which somebody guessed once."""
    tiers = list(books.pair(evidence).tiers)
    return sorted(books.MODELS, key=lambda m: tiers.index(books.pair(evidence).tier(m)))


def a_month_for_a_year(evidence: Evidence, _variant: Variant) -> float | None:
    """how-many-losses: holds what 30 days cost against the losses of a year."""
    if not books.whole_days(evidence):
        return None
    extra, each = planning.standby_against_pilot(evidence)
    return float(extra / (each * planning.seconds_saved(evidence)))


def earnings_only(evidence: Evidence, _variant: Variant) -> float | None:
    """how-many-losses: counts what answers earn, not what none costs."""
    if not books.whole_days(evidence):
        return None
    day = books.whole_days(evidence)[-1]
    extra, _ = planning.standby_against_pilot(evidence)
    earned = sum(books.row(day, m).value_nanousd for m in books.in_tier(evidence, planning.CHOSEN))
    if earned <= 0:
        return None
    each = Fraction(earned, 86_400)
    year = extra * Fraction(planning.YEAR_S, planning.MONTH_S)
    return float(year / (each * planning.seconds_saved(evidence)))


def started_at_once(evidence: Evidence, _variant: Variant) -> float | None:
    """how-many-losses: pilot light loses the time to start servers, and nobody has to notice or decide."""
    if not books.whole_days(evidence):
        return None
    extra, each = planning.standby_against_pilot(evidence)
    return float(
        extra * Fraction(planning.YEAR_S, planning.MONTH_S) / (each * Fraction(books.known(evidence).start.seconds))
    )


def none_from_before(evidence: Evidence, _variant: Variant) -> int:
    """keep-how-many: all that are kept were taken after the mistake."""
    return int(planning.keep_how_many(evidence, _variant).answer) - 1


def as_declared(evidence: Evidence, _variant: Variant) -> int | None:
    """keep-how-many: as many as are kept now."""
    kept = books.registry(evidence).backup_keep
    return None if kept >= planning.keep_how_many(evidence, _variant).answer else kept


def one_way_only(evidence: Evidence, _variant: Variant) -> float:
    """how-far-apart: the answer's way back is forgotten."""
    return float(2 * planning.allowed_ms(evidence) * planning.KM_PER_MS)


def in_a_vacuum(evidence: Evidence, _variant: Variant) -> float:
    """how-far-apart: light as fast as without glass."""
    return float(planning.allowed_ms(evidence) * 300)


def one_sla_for_all(evidence: Evidence, _variant: Variant) -> bool:
    """promises-in-budget: everything stands by."""
    return promising.all_in_one(evidence)


def weights_without_metadata(evidence: Evidence, _variant: Variant) -> bool:
    """promises-in-budget: files are in both regions, rows in a backup."""
    return promising.files_without_rows(evidence)
