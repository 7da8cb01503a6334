"""The whole proof of a scenario's questions, over what labs of some seeds showed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archlab.grading import blueprints, content
from archlab.grading.content import Pack
from archlab.grading.proof import answers, seeds, solutions, texts
from archlab.grading.proof.answers import World
from archlab.grading.proof.findings import Finding
from archlab.grading.proof.recasting import recast
from archlab.grading.proof.recording import Take
from archlab.grading.proof.solutions import Solutions
from archlab.plan.loading import load_scenario
from archlab.plan.resolve import resolve
from archlab.spec.blueprint import Blueprints
from archlab.spec.grading import Question, QuestionKind, Truth
from archlab.spec.plan import Progress
from archlab.spec.scenario import Scenario, Variant

RULE_VARIANTS = 4
VARIANTS = 24
"""Enough for every decision to come out in more ways than one."""

MEASURING = ("archlab clock", "archlab sweep", "archlab outage")
"""Commands that show what is, and change no design."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that is proven, and against what."""

    pack: Pack
    solutions: Solutions
    scenario: Scenario
    """As written."""
    blueprints: Blueprints
    brief: str


def read(folder: Path) -> Content:
    """A scenario's content, whole.

    Raises:
        SpecError: a fault in one of its files; names file, line and field.
    """
    brief = folder / "README.md"
    return Content(
        pack=content.load(folder),
        solutions=solutions.load(folder),
        scenario=load_scenario(folder / "scenario.yaml"),
        blueprints=blueprints.load(),
        brief=brief.read_text() if brief.exists() else "",
    )


def prove(
    made: Content, takes: Sequence[Take], asked: Sequence[Question], progress: Progress, *, variants: int = VARIANTS
) -> list[Finding]:
    """Everything that is wrong with some questions, by what was taken from labs.

    Args:
        made: the scenario's content.
        takes: of at least one seed.
        asked: which questions.
        progress: told of each step.
        variants: seeds, from 1 on, to whose variants the takes are recast.
    """
    found: list[Finding] = []
    shares: list[float] = []
    recasts = _variants(made.scenario, takes, variants, progress)
    for question in asked:
        progress("prove", question.id)
        # hidden inputs are decided in a process of their own, so a few variants have to do
        tried = recasts[:RULE_VARIANTS] if question.kind is QuestionKind.REGO else recasts
        varied = [world for takes_then in tried if (world := _decided(made, question, takes_then)) is not None]
        found += _question(made, question, takes, varied)
        if (share := seeds.copied(question, varied)) is not None:
            shares.append(share)
    return [*found, *seeds.differing_overall(shares)]


def _world(made: Content, question: Question, take: Take) -> World:
    return answers.world(made.pack, made.solutions, question, take)


def _decided(made: Content, question: Question, recasts: Sequence[Take]) -> World | None:
    """A variant by the first take that can decide it: one lab's experiment is not every variant's."""
    worlds = (_world(made, question, take) for take in recasts if _has(take, question, made.solutions))
    first = next(worlds, None)
    if first is None or made.solutions.script(question) is None or not _blocked(first):
        return first
    return next((world for world in worlds if not _blocked(world)), first)


def _blocked(world: World) -> bool:
    return isinstance(world.truth, Truth) and bool(world.truth.blocked)


def _question(made: Content, question: Question, takes: Sequence[Take], varied: Sequence[World]) -> list[Finding]:
    pack, reference = made.pack, made.solutions
    live = [_world(made, question, take) for take in takes]
    # a script ran in real labs only: what it answered there says nothing about another variant
    plain = live if reference.script(question) else [*live, *varied]
    return [
        *texts.mapped(made.blueprints, question),
        *answers.untouched(pack, question, takes),
        *answers.solved(pack, reference, question, plain),
        *answers.mistaken(pack, reference, question, [*live, *varied], takes),
        *seeds.differing(question, varied),
        *texts.explained(question, [*live, *varied]),
        *texts.kept_back(question, [*live, *varied], made.brief, _commands(made, question, takes)),
    ]


def _has(take: Take, question: Question, reference: Solutions) -> bool:
    return reference.script(question) is None or question.id in take.solved


def _commands(made: Content, question: Question, takes: Sequence[Take]) -> tuple[str, ...]:
    """What a script did beyond letting time pass, measuring and looking: a question may say how to measure."""
    ran = next((t.solved[question.id].commands for t in takes if question.id in t.solved), ())
    return tuple(c for c in ran if c not in made.solutions.prepare and not c.startswith(MEASURING))


def _variants(scenario: Scenario, takes: Sequence[Take], seeds: int, progress: Progress) -> list[list[Take]]:
    """All takes as many seeds would have them; seeds that decide the same variant are taken once."""
    made: dict[str, list[Take]] = {}
    for seed in range(1, seeds + 1):
        resolved, variant = resolve(scenario, seed)
        chosen = str(sorted(variant.chosen.items()))
        if chosen not in made:
            progress("vary", f"seed {seed}")
            made[chosen] = [_recast(take, resolved, variant) for take in takes]
    return list(made.values())


def apart(scenario: Scenario, variants: int = VARIANTS) -> tuple[int, ...]:
    """Few seeds, from 1 on, over which every choice differs that differs at all.

    The two whose variants differ in the most choices come first; then those that add a choice still the same in all.

    Args:
        scenario: as written.
        variants: how many seeds to look at, at least two.
    """
    chosen = {seed: resolve(scenario, seed)[1].chosen for seed in range(1, variants + 1)}

    def differing(seeds: tuple[int, ...]) -> set[str]:
        return {name for name in chosen[1] if any(chosen[s][name] != chosen[seeds[0]][name] for s in seeds)}

    taken: tuple[int, ...] = max(itertools.combinations(chosen, 2), key=lambda pair: len(differing(pair)))
    possible = differing(tuple(chosen))
    while differing(taken) != possible:
        taken = max(((*taken, seed) for seed in chosen), key=lambda seeds: len(differing(seeds)))
    return taken


def _recast(take: Take, resolved: Scenario, variant: Variant) -> Take:
    return replace(
        take,
        seed=variant.seed,
        start=recast(take.start, resolved, variant),
        prepared=recast(take.prepared, resolved, variant),
        solved={q: replace(s, evidence=recast(s.evidence, resolved, variant)) for q, s in take.solved.items()},
        wrong={},
    )
