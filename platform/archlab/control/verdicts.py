"""What the figures of a comparison say, in words. Pure."""

from __future__ import annotations

from archlab.resampling import Range
from archlab.spec.comparison import METRIC_NAMES, Comparison, Interval, Judgement, VersionTraffic

FEWEST = 30
"""Labelled subjects, on each side, below which no difference is judged."""
METHOD = (
    "95 % percentile intervals from a cluster bootstrap over {about}: 1,000 resamples, fixed seed, both versions from"
    " the same draw. A question counts once. Decide beforehand how many labels to wait for: who looks often enough"
    " finds a difference by chance."
)
_FARTHEST = 200


def judge(labelled: int, difference: Range | None, *, higher_is_better: bool) -> Judgement:
    """What a difference in quality, challenger less champion, says about the challenger."""
    if difference is None or labelled < FEWEST:
        return Judgement(labelled_subjects=labelled, difference=None, verdict="too few labels")
    interval = Interval(value=difference.value, low=difference.low, high=difference.high)
    if interval.low <= 0 <= interval.high:
        return Judgement(labelled_subjects=labelled, difference=interval, verdict="not told apart")
    better = (interval.value > 0) == higher_is_better
    return Judgement(labelled_subjects=labelled, difference=interval, verdict="better" if better else "worse")


def conclusions(found: Comparison) -> tuple[str, ...]:
    """One sentence or two for the canary, and for the shadow; the next step where there is nothing to compare."""
    said = [text for text in (_canary(found), _shadow(found)) if text]
    return tuple(said) or (_nothing(found),)


def _canary(found: Comparison) -> str:
    ours = _of(found, found.challenger, "live")
    if ours is None or found.canary is None:
        return ""
    return (
        f"Canary: {_asked(ours, found.asked_about)} went to version {found.challenger},"
        f" {ours.labelled_subjects:,} of them labelled{_failed(ours)}. {_judged(found.canary, found)}"
    )


def _shadow(found: Comparison) -> str:
    copies, pairs = _of(found, found.challenger, "shadow"), found.mirrored
    if copies is None or pairs is None or found.shadow is None:
        return ""
    said = [
        f"Shadow: {pairs.pairs:,} requests about {pairs.subjects:,} {found.asked_about} were answered by version"
        f" {found.challenger} too{_failed(copies)}."
    ]
    if pairs.abs_difference_mean is not None:
        mean, most = pairs.abs_difference_mean, pairs.abs_difference_max
        said.append(f"Predictions differ by {mean:.3g} on average, {most:.3g} at most.")
    if pairs.differing is not None:
        said.append(f"{pairs.differing:.1%} of {pairs.differing_rule}.")
    return " ".join([*said, _judged(found.shadow, found)])


def _asked(traffic: VersionTraffic, about: str) -> str:
    requests = "1 request" if traffic.requests == 1 else f"{traffic.requests:,} requests"
    return f"{requests} about {traffic.subjects:,} {about}"


def _failed(traffic: VersionTraffic) -> str:
    return f"; {traffic.errors:,} of {traffic.requests:,} failed" if traffic.errors else ""


def _judged(judgement: Judgement, found: Comparison) -> str:
    """`Difference in AUC +0.013 [-0.020, +0.046] on 290 flights: not told apart yet.`"""
    name, about = METRIC_NAMES[found.metric], found.asked_about
    difference = judgement.difference
    if difference is None:
        return f"Too early to compare {name}: {_too_few(judgement.labelled_subjects, about)}."
    shown = f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"
    start = f"Difference in {name} {shown} on {judgement.labelled_subjects:,} labelled {about}"
    if judgement.verdict != "not told apart":
        return f"{start}: version {found.challenger} is {judgement.verdict} than version {found.champion}."
    return f"{start}: not told apart yet{_more(difference, about)}."


def _too_few(labelled: int, about: str) -> str:
    if labelled < FEWEST:
        return f"{labelled:,} labelled {about} on the smaller side, {FEWEST} are the least"
    return f"one of the outcomes is too rare among {labelled:,} labelled {about}"


def _more(difference: Interval, about: str) -> str:
    """How many times the labels a difference of this size would take: an interval shrinks with their square root."""
    if not difference.value:
        return ""
    half = (difference.high - difference.low) / 2
    times = (half / abs(difference.value)) ** 2
    if times > _FARTHEST:
        return ""
    return f"; if the difference is real, about {max(times, 1.1):.2g} times as many labelled {about} would show it"


def _nothing(found: Comparison) -> str:
    name = found.model
    if not found.challenger:
        return (
            f"Version {found.champion} answers everything, and there is no other to compare it with."
            f" Name a challenger: archlab promote {name} VERSION --alias challenger"
        )
    return (
        f"Version {found.challenger} has answered nothing yet. Give it copies: archlab set {name} shadow on,"
        f" or callers: archlab set {name} canary 10"
    )


def _of(found: Comparison, version: str, traffic: str) -> VersionTraffic | None:
    return next((v for v in found.versions if (v.version, v.traffic) == (version, traffic)), None)
