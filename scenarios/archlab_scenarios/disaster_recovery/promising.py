"""The design question: what was promised to whom, what a design keeps of it, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from archlab.plan.copies import expected_copies
from archlab.plan.layout import layout
from archlab.plan.postures import Expectation, expected
from archlab.spec.base import NanoUsd
from archlab.spec.experiments import DesignRun
from archlab.spec.grading import Evidence, Truth
from archlab.spec.regions import Part, Promotion, Regions, Standby, Tier
from archlab.spec.scenario import Overrides, Variant
from archlab.world.commitment import held
from archlab_scenarios.disaster_recovery import books

QUICK_S, OTHERS_S, WRITES_S = 5.0, 1200.0, 15.0
"""Answers of the models that somebody waits for, those of the others, and writes: seconds from the fault on."""
FILES_S = 1.0
"""By so much the files of versions may be behind what the registry says of them."""
OVER_BUDGET, BROKEN = 0.5, 0.6
"""What is left of the points."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One promise."""

    what: str
    basis: str
    figure: str
    kept: bool


def promises_in_budget(evidence: Evidence, _variant: Variant) -> Truth:
    """Design: the share of the promises kept, less for a broken one or a broken budget."""
    trial = evidence.design
    if trial is None or trial.submitted.regions is None:
        return Truth(answer=None, blocked="Hand a design in: archlab answer promises-in-budget FILE")
    kept = promises(evidence, trial.submitted)
    cost, budget = (standby(evidence, r) for r in (trial.submitted.regions, _everything(trial.submitted.regions)))
    allowed = budget * Fraction(books.knob(evidence, "budget-percent")) / 100
    share = sum(one.kept for one in kept) / len(kept)
    share *= 1.0 if share == 1 else BROKEN
    share *= OVER_BUDGET if cost > allowed else 1.0
    table = "\n".join(f"| {p.what} | {p.figure} | {p.basis} | {'kept' if p.kept else '**broken**'} |" for p in kept)
    money = f"{books.usd(cost):.2f} of {books.usd(allowed):.2f} USD for 30 days"
    drill = trial.submitted.drills[0].drill if trial.submitted.drills else "none: nothing of the registry is in west"
    facts: dict[str, str | int | float] = {"table": table, "money": money, "drill": drill}
    header = "| promise | seen | | |\n|---|---|---|---|"
    return Truth(answer=share, facts=facts, saw=f"It holds {money} in the second region.\n\n{header}\n{table}")


def promises(evidence: Evidence, run: DesignRun) -> list[Kept]:
    """Everything that was promised, and whether a design keeps it."""
    pair = run.regions
    assert pair is not None
    found = [_answers(pair, model, evidence) for model in books.MODELS]
    rto, lost, basis = writes(evidence, run)
    found.append(Kept("writes of the registry", basis, _seconds(rto), rto is not None and rto <= WRITES_S))
    found.append(Kept("nothing acknowledged is lost", basis, lost, lost == "none lost"))
    behind = _files_behind(evidence, pair)
    found.append(Kept("files follow their rows", "modelled", f"up to {behind:g} s behind", behind <= FILES_S))
    return found


def _files_behind(evidence: Evidence, pair: Regions) -> float:
    """How old the copies of files are at most, as the pair keeps them."""
    known = expected_copies(pair, books.seen(evidence).runbooks)
    return next(one.rpo_s for one in known if one.part is Part.ARTIFACTS and one.chosen)


def _answers(pair: Regions, model: str, evidence: Evidence) -> Kept:
    wanted = QUICK_S if model in books.knob(evidence, "quick-models") else OTHERS_S
    after = _modelled(evidence, pair, pair.tier(model)).answers_rto_s
    return Kept(f"{model} within {wanted:g} s", "modelled", _seconds(after), after is not None and after <= wanted)


def writes(evidence: Evidence, run: DesignRun) -> tuple[float | None, str, str]:
    """Seconds until the registry takes writes again, what is lost of them, and where both figures come from."""
    pair = run.regions
    assert pair is not None
    tier = pair.of(Part.REGISTRY)
    if not run.drills or run.drills[0].measured is None:
        modelled = _modelled(evidence, pair, pair.parts[Part.REGISTRY])
        return modelled.writes_rto_s, f"up to {modelled.rpo_s:g} s lost", "modelled"
    measured = run.drills[0].measured
    lost = "nobody knows" if measured.lost is None else f"{len(measured.lost):,} lost" if measured.lost else "none lost"
    if measured.rto_s is None:
        return None, lost, "measured"
    decided = float(pair.decision_s) if tier.promotion is Promotion.MANUAL else 0.0
    started = 0.0 if tier.posture.runs else books.known(evidence).start.seconds
    more = " and modelled" if decided or started else ""
    return measured.rto_s + decided + started, lost, f"measured{more}"


def standby(evidence: Evidence, pair: Regions) -> NanoUsd:
    """What a pair holds for 30 days more than if nothing were in the second region."""
    return _held(evidence, pair) - _held(evidence, _in(pair, Standby.BACKUP_ONLY))


def _everything(pair: Regions) -> Regions:
    return _in(pair, Standby.WARM_STANDBY)


def _in(pair: Regions, posture: Standby) -> Regions:
    tiers = {tier: held.model_copy(update={"posture": posture}) for tier, held in pair.tiers.items()}
    return pair.model_copy(update={"tiers": tiers})


def _held(evidence: Evidence, pair: Regions) -> NanoUsd:
    scenario = evidence.scenario.model_copy(update={"regions": pair})
    plan = layout(evidence.lab, scenario, evidence.variant.seed, Overrides())
    return sum(held(scenario, plan, evidence.clock).values())


def _modelled(evidence: Evidence, pair: Regions, tier: Tier) -> Expectation:
    return expected(pair, tier, pair.tiers[tier], 1, books.known(evidence))


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:,.1f} s"


def all_in_one(evidence: Evidence) -> bool:
    """Whether everything stands by, whatever it is worth."""
    pair = evidence.design.submitted.regions if evidence.design else None
    return pair is not None and all(tier.posture.runs for tier in pair.tiers.values())


def files_without_rows(evidence: Evidence) -> bool:
    """Whether the weights are in both regions, and what says which they are is in a backup."""
    pair = evidence.design.submitted.regions if evidence.design else None
    if pair is None:
        return False
    rows, files = pair.of(Part.REGISTRY), pair.of(Part.ARTIFACTS)
    return rows.posture is Standby.BACKUP_ONLY and files.posture is not Standby.BACKUP_ONLY
