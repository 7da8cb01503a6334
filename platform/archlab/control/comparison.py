"""Champion and challenger set against each other: what callers got (canary), and copies that nobody saw (shadow)."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from archlab.control import clock, verdicts
from archlab.control.comparison_rows import Pair, Rows, Traffic, sample
from archlab.control.times import from_us, to_us
from archlab.quality import Floats
from archlab.resampling import Range, Sample, compare
from archlab.spec.business import ModelCard
from archlab.spec.callers import ClassificationValue
from archlab.spec.comparison import Comparison, Interval, Judgement, Mirrored, VersionTraffic
from archlab.spec.release import Release
from archlab.spec.scenario import Model

ANSWERED_WITHIN_US = 1_000_000
ASKED_ABOUT = {"origin-half-hourly": "half hours", "tail-daily": "aircraft", "route-daily": "routes"}


def comparison(
    db: sqlite3.Connection, model: Model, card: ModelCard, releases: Sequence[Release], since: datetime | None = None
) -> Comparison:
    """Everything about the two versions of a model.

    Args:
        db: predictions, with control's tables as `control`.
        model: as declared; its caller's threshold or tolerance says what makes a difference.
        card: names the measure.
        releases: say who is champion and who challenger.
        since: wall time; without it the champion's requests count from the challenger's first one on, so that both are
            judged over the same time.
    """
    now = clock.read(db).now
    contest = _contest(Rows(db, model.name, to_us(now)), model, card, releases, since)
    callers, copies = _callers(contest), _copies(contest)
    about = ASKED_ABOUT.get(model.caller.asks, "flights")
    found = Comparison(
        model=model.name,
        asked_about=about,
        metric=card.metric,
        higher_is_better=card.higher_is_better,
        champion=contest.champion,
        challenger=contest.challenger,
        now=now,
        since=from_us(contest.began_us) if contest.began_us else None,
        versions=(*callers.versions, *copies.versions),
        canary=callers.judgement,
        shadow=copies.judgement,
        mirrored=copies.mirrored,
        conclusions=(),
        method=verdicts.METHOD.format(about=about),
    )
    return found.model_copy(update={"conclusions": verdicts.conclusions(found)})


@dataclass(frozen=True, slots=True)
class _Contest:
    """Who is compared with whom, and from when on."""

    rows: Rows
    model: Model
    card: ModelCard
    roles: Mapping[str, str]
    champion: str
    challenger: str
    since_us: int
    """What was asked for; 0 without."""
    began_us: int
    """From when on callers' requests count."""

    def traffic(
        self, version: str, traffic: Traffic, since_us: int, labelled: Sample, quality: Range | None
    ) -> tuple[VersionTraffic, ...]:
        """One version's figures; nothing when it answered nothing."""
        counts = self.rows.counts(version, traffic, since_us)
        if not counts.requests:
            return ()
        latencies = self.rows.latencies_ms(version, traffic, since_us)
        made = VersionTraffic.model_validate(
            {
                "version": version,
                "role": self.roles.get(version, ""),
                "traffic": traffic,
                **counts._asdict(),
                "labelled_subjects": len(set(labelled.subjects)),
                "p50_ms": _quantile(latencies, 0.5),
                "p99_ms": _quantile(latencies, 0.99),
                "quality": quality and Interval(value=quality.value, low=quality.low, high=quality.high),
            }
        )
        return (made,)

    def judge(self, first: Sample, second: Sample, difference: Range | None) -> Judgement:
        """The challenger against the champion."""
        fewest = min(len(set(side.subjects)) for side in (first, second))
        return verdicts.judge(fewest, difference, higher_is_better=self.card.higher_is_better)


@dataclass(frozen=True, slots=True)
class _Part:
    """What callers' requests, or copies, say."""

    versions: tuple[VersionTraffic, ...]
    judgement: Judgement | None = None
    mirrored: Mirrored | None = None


def _contest(
    rows: Rows, model: Model, card: ModelCard, releases: Sequence[Release], since: datetime | None
) -> _Contest:
    roles: dict[str, str] = {r.version: r.role for r in releases if r.model == model.name}
    champion = next((version for version, role in roles.items() if role == "champion"), "")
    named = [version for version, role in roles.items() if role == "challenger"]
    challenger = max(named, key=int, default="") or rows.newest(but=champion)
    since_us = to_us(since) if since else 0
    began = since_us or rows.first(challenger, "live") or _before(rows.first(challenger, "shadow"))
    return _Contest(
        rows, model, card, roles, champion, challenger, since_us, began or rows.first(champion, "live") or 0
    )


def _before(copied_us: int | None) -> int:
    """A moment at which the original of the first copy had not been answered yet."""
    return copied_us - ANSWERED_WITHIN_US if copied_us else 0


def _callers(contest: _Contest) -> _Part:
    """What each version's own callers got."""
    names, since_us = (contest.champion, contest.challenger), contest.began_us
    first, second = (contest.rows.labelled(version, "live", since_us) for version in names)
    compared = compare(contest.card.metric, first, second)
    ours = contest.traffic(contest.champion, "live", since_us, first, compared.first)
    theirs = contest.traffic(contest.challenger, "live", since_us, second, compared.second)
    return _Part((*ours, *theirs), contest.judge(first, second, compared.difference) if theirs else None)


def _copies(contest: _Contest) -> _Part:
    """What both versions answered to the same requests."""
    pairs = contest.rows.pairs(contest.challenger, contest.since_us)
    known = [(p.subject, p.actual, p) for p in pairs if p.counts and p.subject is not None and p.actual is not None]
    first = sample([(subject, pair.prediction, actual) for subject, actual, pair in known])
    second = sample([(subject, pair.copy, actual) for subject, actual, pair in known])
    compared = compare(contest.card.metric, first, second)
    versions = contest.traffic(contest.challenger, "shadow", contest.since_us, second, compared.second)
    if not versions:
        return _Part(())
    return _Part(versions, contest.judge(first, second, compared.difference), _mirrored(pairs, contest))


def _mirrored(pairs: Sequence[Pair], contest: _Contest) -> Mirrored:
    ours, theirs = (np.array([pair[n] for pair in pairs], dtype=np.float64) for n in (1, 2))
    apart = np.abs(theirs - ours)
    measurable = bool(len(pairs)) and contest.card.kind != "clusters"
    differing, rule = _differing(contest, ours, theirs)
    return Mirrored(
        pairs=len(pairs),
        subjects=len({pair.subject for pair in pairs if pair.subject is not None}),
        abs_difference_mean=float(apart.mean()) if measurable else None,
        abs_difference_max=float(apart.max()) if measurable else None,
        correlation=_correlation(ours, theirs) if measurable else None,
        differing=float(differing.mean()) if len(pairs) else None,
        differing_rule=rule,
        latency_difference_ms=_quantile(np.array([pair.later_us for pair in pairs]) / 1000, 0.5),
    )


def _differing(contest: _Contest, ours: Floats, theirs: Floats) -> tuple[Floats, str]:
    """Which pairs the caller would treat differently, and by which rule."""
    value = contest.model.caller.value
    if contest.card.kind == "clusters":
        return (ours != theirs).astype(np.float64), "answers name another group"
    if isinstance(value, ClassificationValue):
        changed = (ours >= value.threshold) != (theirs >= value.threshold)
        return changed.astype(np.float64), f"decisions at the threshold of {value.threshold:g} would differ"
    far = np.abs(ours - theirs) > value.tolerance
    return far.astype(np.float64), f"answers are further apart than the tolerance of {value.tolerance:g}"


def _correlation(ours: Floats, theirs: Floats) -> float | None:
    """Pearson's; None when one side never changes."""
    if len(ours) < 2 or not ours.std() or not theirs.std():
        return None
    return float(np.corrcoef(ours, theirs)[0, 1])


def _quantile(values: Floats, share: float) -> float | None:
    return float(np.quantile(values, share, method="inverted_cdf")) if len(values) else None
