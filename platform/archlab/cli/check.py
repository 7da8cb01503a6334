"""`archlab scenarios check`: prove that a scenario's questions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, console, emit_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archlab.grading.proof.checking import Content
    from archlab.grading.proof.findings import Finding
    from archlab.grading.proof.recording import Take
    from archlab.spec.grading import Question
    from archlab.spec.plan import Progress


def check(
    name: Annotated[str, typer.Argument(help="A scenario; see: archlab scenarios list")],
    question: Annotated[list[str] | None, typer.Option(help="Only this question; may be given more than once.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="By recorded evidence only; starts no lab.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Keep what the labs showed, for --quick.")] = False,
    seeds: Annotated[
        str,
        typer.Option(help="Seeds of the labs, at least two; the recorded ones by default.", metavar="1,5"),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Prove on live labs that solutions are full, declared mistakes are not, and decisions differ between seeds."""
    from archlab.cli.progress import Steps
    from archlab.grading.proof import checking
    from archlab.plan.loading import scenario_folder

    made = checking.read(scenario_folder(name))
    asked = [made.pack.question(q) for q in question or []] or list(made.pack.questions)
    numbers = _numbers(seeds) if seeds else _usual(made)
    _refuse(quick=quick, record=record, partly=bool(question))
    with Steps(f"Checking {name}") as steps:
        takes, found = _recorded(made, asked) if quick else _live(made, asked, numbers, steps)
        if record:
            _keep(made, takes)
        found += checking.prove(made, takes, asked, steps)
    _report(name, asked, takes, found, quick=quick, as_json=as_json)
    if found:
        raise typer.Exit(1)


def _recorded(made: Content, asked: Sequence[Question]) -> tuple[tuple[Take, ...], list[Finding]]:
    from archlab.grading.proof import recording

    names = {"", *(q.id for q in asked)}
    stale = recording.stale(made.pack, made.solutions)
    return recording.load(made.pack.folder), [f for f in stale if f.question in names]


def _live(
    made: Content, asked: Sequence[Question], seeds: Sequence[int], progress: Progress
) -> tuple[tuple[Take, ...], list[Finding]]:
    """A lab per seed, one after the other; wrong states are brought about in the first one."""
    from archlab.grading.proof.rehearsal import Rehearsal
    from archlab.grading.proof.scratch import scratch

    takes: list[Take] = []
    found: list[Finding] = []
    with scratch(made.scenario.name, progress) as lab:
        for seed in seeds:
            rehearsal = Rehearsal(made.pack, made.solutions, lab, asked)
            takes.append(rehearsal.take(seed, mistakes=not takes))
            found += rehearsal.findings
    return tuple(takes), found


def _keep(made: Content, takes: tuple[Take, ...]) -> None:
    from archlab.cli.console import err
    from archlab.grading.proof import recording

    err.print(f"Recorded in {recording.save(made.pack, made.solutions, takes)}", soft_wrap=True)


def _usual(made: Content) -> tuple[int, ...]:
    """The recorded seeds; without a recording, a few whose variants differ in every choice."""
    from archlab.errors import ArchlabError
    from archlab.grading.proof import checking, recording

    try:
        return recording.seeds(made.pack.folder)
    except ArchlabError:
        return checking.apart(made.scenario)


def _numbers(seeds: str) -> tuple[int, ...]:
    from archlab.errors import UsageError

    try:
        numbers = tuple(dict.fromkeys(int(part) for part in seeds.split(",")))
    except ValueError:
        raise UsageError(f"{seeds!r} is no list of seeds.", "For example: --seeds 1,5") from None
    if len(numbers) < 2:
        raise UsageError("One seed can't show that decisions differ.", "Name two at least: --seeds 1,5")
    return numbers


def _refuse(*, quick: bool, record: bool, partly: bool) -> None:
    from archlab.errors import UsageError

    if record and quick:
        raise UsageError("--quick reads what was recorded; it can't record.", "Leave one of the two out.")
    if record and partly:
        raise UsageError("Only a whole check can be recorded.", "Leave --question or --record out.")


def _report(
    name: str,
    asked: Sequence[Question],
    takes: Sequence[Take],
    found: Sequence[Finding],
    *,
    quick: bool,
    as_json: bool,
) -> None:
    by = "recorded" if quick else "live"
    if as_json:
        emit_json(
            {
                "scenario": name,
                "evidence": by,
                "seeds": [t.seed for t in takes],
                "questions": [q.id for q in asked],
                "findings": [f.facts() for f in found],
            }
        )
        return
    for finding in found:
        _show(finding)
    wrong, seeds = len({f.question for f in found}), ", ".join(str(t.seed) for t in takes)
    said = f"[bold red]{len(found)} findings[/] on {wrong} of {len(asked)} questions" if found else ""
    said = said or f"[bold green]{len(asked)} questions hold[/]"
    console.print(f"{said}, by {by} evidence of seeds {seeds}.")


def _show(finding: Finding) -> None:
    from rich.markup import escape

    seed = "" if finding.seed is None else f", seed {finding.seed}"
    console.print(f"[bold]{finding.question or 'scenario'}[/]  {finding.check.value}{seed}")
    console.print(f"  expected  {escape(finding.expected)}\n  found     {escape(finding.found)}", soft_wrap=True)
