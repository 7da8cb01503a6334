"""What a submitted design earns: a pure function of the trial's evidence. Nothing here measures anything.

The rule, the same for every design question:

1. The yardstick is net money per hidden day (value earned less money spent). Zero is the best naive design among those
   that keep their promises (2.); where none does, among those that held the noise (3.), or all. One is the reference.
   From `FULL` of that gap on it earns full points, below `LEAST` nothing, between them its share.
2. Promises cap: a model that answers more than 2 % of its requests too late, stale or not at all on the hidden days, or
   breaks its SLO under the load. One or two broken promises cap the share at a half, more at nothing. A p99 counts as
   broken when the whole interval of the repeated loads lies above it. What the reference could not keep in the same
   measurement is this machine's doing and is not held against the design.
3. Where a team was noisy, the others have to be answered at least 95 % of their requests, and in repeated loads their
   95th percentile must not lie above the promised p99. And the design has to hold the noise, whatever it set: the
   others may feel at most half of what they felt with nothing between (see `holding.held`). A design that did not hold
   it earns nothing; where the reference did not, the machine was too busy to tell, and the trial is not graded.
4. Answers that missed their deadline in milliseconds are the machine's noise as much as the design's. The share is also
   computed as if they had been in time; when the two fall into different verdicts, or the gap is smaller than 2 % of
   the reference's cost, the trial is too close to call and is not graded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from string import ascii_lowercase

from archlab.experiments import holding
from archlab.experiments.chart import Mark, scatter
from archlab.experiments.holding import REPEATS, UNDER_NOISE, held
from archlab.experiments.intervals import of_repeats
from archlab.spec.airline import ModelScore
from archlab.spec.base import NANO_PER_USD
from archlab.spec.experiments import DesignRun, DesignTrial, Load, LoadFigures
from archlab.spec.grading import Evidence, Truth
from archlab.spec.scenario import Model, Scenario

FULL = Fraction(9, 10)
LEAST = Fraction(1, 10)
FRESH = Fraction(98, 100)
CLOSE = Fraction(2, 100)
FEW_BROKEN = 2
CAP_BROKEN = Fraction(1, 2)
ENOUGH = 100
"""Requests from which a 99th percentile is more than the slowest one."""


@dataclass(frozen=True, slots=True)
class Money:
    """Per hidden day, in nano-dollars."""

    value: Fraction
    cost: Fraction

    @property
    def net(self) -> Fraction:
        """Value less cost."""
        return self.value - self.cost


@dataclass(frozen=True, slots=True)
class Score:
    """A trial, scored."""

    share: Fraction | None
    """Of the points; None when it is too close to call."""
    gap_share: tuple[Fraction, Fraction]
    """Place between best naive design and reference: as measured, and with late answers counted as in time."""
    broken: tuple[str, ...]
    """Promises of the submitted design, in words."""
    reason: str = ""
    """Why it is too close to call."""


def judge(evidence: Evidence) -> Truth:
    """The truth of a design question: share, figures and chart, from the trial in the evidence."""
    trial = evidence.design
    if trial is None:
        return Truth(answer=None, blocked="Submit a design: archlab answer ID FILE (YAML), or archlab answer ID lab.")
    scored = score(trial, evidence.scenario)
    facts = _facts(trial, scored, evidence.scenario)
    if scored.share is None:
        low, high = sorted(float(share) for share in scored.gap_share)
        return Truth(answer=None, facts=facts, interval=(low, high), saw=scored.reason)
    return Truth(answer=float(scored.share), facts=facts, saw=report(trial, scored, evidence.scenario))


def score(trial: DesignTrial, scenario: Scenario) -> Score:
    """Apply the rule above; `scenario` supplies promises, volumes and worth."""
    broken = broken_promises(trial.submitted, trial, scenario)
    if not held(trial.reference, trial):
        return Score(None, (Fraction(0), Fraction(0)), broken, _unheld(trial))
    naive = _sound(trial, scenario)
    best = max(money(run).net for run in naive)
    gap = money(trial.reference).net - best
    if gap <= CLOSE * money(trial.reference).cost:
        reason = (
            f"The reference earns {_usd(gap):.2f} USD a day more than the best naive design, less than 2 % of its cost."
        )
        return Score(None, (Fraction(0), Fraction(0)), broken, reason)
    measured = (money(trial.submitted).net - best) / gap
    best_in_time = max(_in_time(run, scenario) for run in naive)
    gap_in_time = _in_time(trial.reference, scenario) - best_in_time
    in_time = (_in_time(trial.submitted, scenario) - best_in_time) / gap_in_time if gap_in_time > 0 else measured
    if not held(trial.submitted, trial):
        return Score(Fraction(0), (measured, in_time), broken)
    low, high = _capped(measured, broken), _capped(in_time, broken)
    if _band(low) != _band(high):
        reason = f"Answers late by milliseconds decide between {float(low):.0%} and {float(high):.0%} of the points."
        return Score(None, (measured, in_time), broken, reason)
    return Score(low, (measured, in_time), broken)


def money(run: DesignRun) -> Money:
    """Value and cost per hidden day."""
    days = len(run.days)
    return Money(
        Fraction(sum(day.value_nanousd for day in run.days), days),
        Fraction(sum(day.cost_nanousd for day in run.days), days),
    )


def broken_promises(run: DesignRun, trial: DesignTrial, scenario: Scenario) -> tuple[str, ...]:
    """Promises that a design broke and the reference kept, in words."""
    ours, theirs = _breaches(run, trial, scenario), _breaches(trial.reference, trial, scenario)
    return tuple(said for key, said in ours.items() if key not in theirs)


def report(trial: DesignTrial, scored: Score, scenario: Scenario) -> str:
    """What was measured, as Markdown with a chart of at most 72 columns."""
    place = f"{float(scored.gap_share[0]):.0%} of the way from the best naive design to the reference"
    kept = "It kept every promise." if not scored.broken else f"Broken promises: {'; '.join(scored.broken)}."
    shown = f"```text\n{scatter(marks(trial))}\n```\n\n{table(trial, scenario)}"
    beside = ""
    if all(holding.noise(run) for _, run in _named(trial)):
        beside = f"\n\n{holding.loudness(trial.submitted)}\n\n{holding.table(_named(trial))}"
    return f"Your design stands {place}. {kept}\n\n{shown}{beside}"


def marks(trial: DesignTrial) -> list[Mark]:
    """The designs for a chart, the submitted one first."""
    named = [("yours", "Y", trial.submitted), ("reference", "R", trial.reference)]
    named += [(run.name, sign, run) for sign, run in zip(ascii_lowercase, trial.naive, strict=False)]
    return [Mark(name, _usd(money(run).cost), _usd(money(run).value), sign) for name, sign, run in named]


def table(trial: DesignTrial, scenario: Scenario) -> str:
    """Every design's money per hidden day and broken promises, as a Markdown table; the best net first."""
    rows = sorted((trial.submitted, trial.reference, *trial.naive), key=lambda r: money(r).net, reverse=True)
    lines = ["| design | value | cost | net USD a day | promises broken |", "| --- | ---: | ---: | ---: | ---: |"]
    for run in rows:
        m = money(run)
        name = "yours" if run is trial.submitted else "reference" if run is trial.reference else run.name
        broken = len(broken_promises(run, trial, scenario))
        lines.append(f"| {name} | {_usd(m.value):.2f} | {_usd(m.cost):.2f} | {_usd(m.net):.2f} | {broken} |")
    return "\n".join(lines)


def _named(trial: DesignTrial) -> list[tuple[str, DesignRun]]:
    return [("yours", trial.submitted), ("reference", trial.reference), *((run.name, run) for run in trial.naive)]


def _sound(trial: DesignTrial, scenario: Scenario) -> tuple[DesignRun, ...]:
    """Naive designs that keep what the reference keeps; those that held the noise where none does, or all."""
    kept = tuple(run for run in trial.naive if not broken_promises(run, trial, scenario))
    return kept or tuple(run for run in trial.naive if held(run, trial)) or trial.naive


def _unheld(trial: DesignTrial) -> str:
    loud, found = holding.noise(trial.reference), holding.felt(trial.reference)
    return (
        f"The reference did not hold {loud.team if loud else 'the noise'} in this measurement either: the others got "
        f"{float(1 - found.unanswered):.0%} of their answers, typically after {found.typical_ms:,.0f} ms. "
        "The machine was too busy, or so fast that nobody was disturbed."
    )


def _capped(share: Fraction, broken: tuple[str, ...]) -> Fraction:
    earned = Fraction(1) if share >= FULL else Fraction(0) if share < LEAST else share
    cap = Fraction(1) if not broken else CAP_BROKEN if len(broken) <= FEW_BROKEN else Fraction(0)
    return min(earned, cap)


def _band(share: Fraction) -> int:
    return 2 if share >= 1 else 1 if share > 0 else 0


def _breaches(run: DesignRun, trial: DesignTrial, scenario: Scenario) -> dict[tuple[str, str], str]:
    """What went wrong, by model and kind."""
    found: dict[tuple[str, str], str] = {}
    for model in scenario.models:
        rows = [row for day in run.days for row in day.models if row.model == model.name]
        asked, good = sum(r.requests for r in rows), sum(r.on_time for r in rows)
        if asked and Fraction(good, asked) < FRESH:
            found[model.name, "days"] = f"{model.name} answered {good / asked:.1%} of its requests in time and fresh"
    noisy = any(load.noise for load in run.loads)
    for model in scenario.models:
        repeats = [f for load in run.loads for f in load.models if f.model == model.name]
        found |= _under_noise(repeats, model) if noisy else _load_breaches(repeats, model)
    if (loud := holding.noise(run)) and not held(run, trial):
        found[loud.team, "noise"] = f"it did not hold {loud.team}, which was the noisy one"
    return found


def _under_noise(repeats: Sequence[LoadFigures], model: Model) -> dict[tuple[str, str], str]:
    found = _unanswered(repeats, model, float(UNDER_NOISE))
    if said := holding.latency(repeats, model):
        found[model.name, "latency"] = said
    return found


def _unanswered(repeats: Sequence[LoadFigures], model: Model, promised: float) -> dict[tuple[str, str], str]:
    asked, failed = sum(f.requests for f in repeats), sum(f.failures for f in repeats)
    if failed <= (1 - promised) * asked:
        return {}
    said = f"{model.name} answered {1 - failed / asked:.2%} under load, promised {promised:.2%}"
    return {(model.name, "availability"): said}


def _load_breaches(repeats: Sequence[LoadFigures], model: Model) -> dict[tuple[str, str], str]:
    found = _unanswered(repeats, model, model.slo.availability)
    tails = [f.p99_ms for f in repeats if f.requests >= ENOUGH]
    if len(tails) >= REPEATS and (p99 := of_repeats(tails)).low > model.slo.p99_ms:
        found[model.name, "latency"] = (
            f"{model.name}'s p99 was {p99.value:.0f} ms ({p99.low:.0f} to {p99.high:.0f}), promised {model.slo.p99_ms}"
        )
    return found


def too_slow(load: Load, scenario: Scenario) -> bool:
    """Whether one load alone speaks against a p99: then it has to be repeated."""
    if load.noise is not None:
        return any(holding.too_slow(f, scenario.model(f.model)) for f in load.models)
    return any(f.requests >= ENOUGH and f.p99_ms > scenario.model(f.model).slo.p99_ms for f in load.models)


def _in_time(run: DesignRun, scenario: Scenario) -> Fraction:
    """Net per day with late answers worth what this model's answers in time were worth on average."""
    more = sum((_late_worth(row, scenario) for day in run.days for row in day.models), Fraction(0))
    return money(run).net + more / len(run.days)


def _late_worth(row: ModelScore, scenario: Scenario) -> Fraction:
    if not row.late or not row.on_time:
        return Fraction(0)
    caller = scenario.model(row.model).caller
    useless = (row.late + row.stale + row.missing) * caller.represents * caller.value.late
    usual = Fraction(row.value_nanousd - useless, row.on_time * caller.represents)
    return row.late * caller.represents * (usual - caller.value.late)


def _facts(trial: DesignTrial, scored: Score, scenario: Scenario) -> dict[str, str | int | float]:
    return {
        "net": _usd(money(trial.submitted).net),
        "cost": _usd(money(trial.submitted).cost),
        "value": _usd(money(trial.submitted).value),
        "reference_net": _usd(money(trial.reference).net),
        "reference_cost": _usd(money(trial.reference).cost),
        "naive_net": max(_usd(money(run).net) for run in _sound(trial, scenario)),
        "share": round(100 * float(scored.gap_share[0])),
        "broken": "; ".join(scored.broken) or "none",
        "days": ", ".join(f"{day.since:%d %b}" for day in trial.submitted.days),
        "reference": _changes(trial.reference),
        "offered": trial.submitted.loads[0].offered_per_s if trial.submitted.loads else 0.0,
        "noisy": next((load.noise.team for load in trial.submitted.loads if load.noise), "nobody"),
    }


def _changes(run: DesignRun) -> str:
    """A design in words: what it changes."""
    parts = []
    for name, change in sorted(run.overrides.models.items()):
        said = change.model_dump(mode="json", exclude_none=True)
        parts.append(f"{name}: {', '.join(f'{k} {v}' for k, v in said.items())}")
    for name, team in sorted(run.overrides.teams.items()):
        said = team.model_dump(mode="json", exclude_none=True)
        parts.append(f"{name}: {', '.join(f'{k} {v}' for k, v in said.items())}")
    parts += [f"{view} every {every}" for view, every in sorted(run.overrides.feature_every.items())]
    return "; ".join(parts) or "as the scenario declares it"


def _usd(nanousd: Fraction) -> float:
    return float(nanousd / NANO_PER_USD)
