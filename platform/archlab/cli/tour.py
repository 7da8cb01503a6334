"""`archlab tour`: a scenario's guided quarter of an hour; everything in it is real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import LabOption, console, table

if TYPE_CHECKING:
    from archlab.grading.tour import Action, CopyAction, JobAction, Progress, Step, Tour
    from archlab.lab import Lab
    from archlab.spec.grading import Evidence

WIDTH = 100


class Said(Enum):
    """What the learner wants with a command or a step."""

    GO = ""
    SKIP = "s"
    QUIT = "q"


class Left(Exception):  # noqa: N818 - leaving is no error
    """The learner leaves the tour; it continues there another time."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(tour)


def tour(
    start: Annotated[str | None, typer.Option("--from", metavar="STEP", help="Begin at a step; see --list.")] = None,
    end: Annotated[str | None, typer.Option("--until", metavar="STEP", help="Leave after this step.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the steps and what is done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Run every command without asking.")] = False,
    solution: Annotated[
        bool, typer.Option("--solution", help="Take the solution where a gap is to be filled.")
    ] = False,
    lab: LabOption = None,
) -> None:
    """A guided quarter of an hour. Leave at any time; the same command continues where you were."""
    from archlab.grading.tour import load, read_progress
    from archlab.lab import open_lab

    found = open_lab(lab)
    content = load(found.content)
    progress = read_progress(found.folder.root / "tour.json")
    if show:
        _list(content, progress)
        return
    guide = Guide(found, content, yes=yes, solution=solution)
    try:
        guide.walk(progress, start, end)
    except Left:
        console.print("\nYour place is kept: [bold]archlab tour[/] goes on from here.")


@dataclass(slots=True)
class Guide:
    """One walk through the tour.

    Args:
        lab: the running lab.
        tour: steps and checks.
        yes: run everything, ask nothing, stop at the first step that is not proven.
        solution: fill gaps from the solution.
    """

    lab: Lab
    tour: Tour
    yes: bool
    solution: bool

    def walk(self, progress: Progress, start: str | None, end: str | None = None) -> None:
        """Go through the steps from the first undone one, or from a named one, up to the end or a named one."""
        from archlab.grading.tour import write_progress

        steps = self.tour.rest(progress, start, end)
        if not steps:
            console.print("The tour is done. [bold]archlab tour --from STEP[/] goes back; next: archlab questions")
            return
        for step in steps:
            self._step(step)
            progress = write_progress(self._folder / "tour.json", progress, step)
        if end is None:
            console.print("\n[bold green]The tour is done.[/] Next: [bold]archlab questions[/]")
        else:
            raise Left

    @property
    def _folder(self) -> Path:
        return self.lab.folder.root

    def _step(self, step: Step) -> None:
        evidence = self._evidence()
        number = self.tour.steps.index(step) + 1
        title = f"{number} of {len(self.tour.steps)}  ·  {step.title}  ·  {step.minutes} min"
        self._panel(step.text, title, "blue", evidence)
        if step.check and not self.tour.missing(step, evidence, self._folder):
            console.print("[dim]This has happened in your lab already; its commands are not run again.[/]\n")
        else:
            for action in step.actions:
                self._act(action, evidence)
            evidence = self._proof(step)
        if step.after:
            self._panel(step.after, "What you saw", "green", evidence)

    def _proof(self, step: Step) -> Evidence:
        """Evidence in which the step is done; asks again until it is, or the learner skips it."""
        from archlab.errors import UserError

        while missing := self.tour.missing(step, evidence := self._evidence(), self._folder):
            if self.yes:
                raise UserError(f"Step {step.id}: {missing}", f"Then: archlab tour --from {step.id}")
            self._panel(missing, "Not yet", "yellow", evidence)
            if self._ask("Enter looks again, s goes on without, q leaves") is Said.SKIP:
                break
        return evidence

    def _act(self, action: Action, evidence: Evidence) -> None:
        values = self._values(evidence)
        if action.run:
            self._command(action, values)
        elif action.job:
            self._job(action.job)
        elif action.copy_files:
            self._copy(action.copy_files)
        elif not self.yes and not self.solution:
            self._panel(action.wait, "Your turn", "magenta", evidence)
            self._ask("Enter when you are done, q leaves")

    def _command(self, action: Action, values: Mapping[str, str]) -> None:
        import os
        import shlex
        import subprocess
        import sys

        from archlab.errors import UserError
        from archlab.grading.tour import fill
        from archlab.settings import home

        command = fill(action.run, {k: shlex.quote(v) for k, v in values.items()})
        if not self._offered(f"$ {command}"):
            return
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        env = {**os.environ, "PATH": path, "ARCHLAB_LAB_NAME": self.lab.name, "ARCHLAB_HOME": str(home())}
        code = subprocess.run(["/bin/sh", "-c", command], env=env, check=False).returncode
        console.print()
        if code != action.exits:
            wanted = f" (expected {action.exits})" if action.exits else ""
            if self.yes:
                raise UserError(f"`{command}` ended with exit code {code}{wanted}.", "Mend that, then: archlab tour")
            console.print(f"[yellow]That ended with exit code {code}{wanted}.[/]")

    def _job(self, action: JobAction) -> None:
        from archlab.cli.progress import Steps
        from archlab.lab.work import mlflow_environment, run_job

        shown = " ".join(("python -m", action.module, *action.args))
        if not self._offered(f"$ {shown}    (as {action.user}, in the lab)"):
            return
        with Steps(action.name) as steps:
            result = run_job(self.lab, action.job(mlflow_environment(self.lab, action.user)), steps)
        console.print(f"Done in {result.seconds:.1f} s.\n")

    def _copy(self, action: CopyAction) -> None:
        import shutil

        target = self._folder / action.to
        if self.solution or not any(target.glob("*")):
            source = self.lab.content / (action.solution if self.solution else action.source)
            shutil.copytree(source, target, dirs_exist_ok=True)
            console.print(f"[dim]Put into {target}[/]\n", soft_wrap=True)
        else:
            console.print(f"[dim]{target} is there already and stays as it is.[/]\n", soft_wrap=True)

    def _offered(self, shown: str) -> bool:
        """Show a command; whether to run it."""
        from rich.markup import escape

        console.print(f"[bold cyan]{escape(shown)}[/]", soft_wrap=True)
        console.file.flush()
        return self.yes or self._ask("Enter runs it, s skips it, q leaves") is Said.GO

    def _ask(self, prompt: str) -> Said:
        try:
            said = console.input(f"[dim]{prompt}[/] ").strip().lower()[:1]
        except EOFError:
            raise Left from None
        if said == Said.QUIT.value:
            raise Left
        return Said.SKIP if said == Said.SKIP.value else Said.GO

    def _evidence(self) -> Evidence:
        from archlab.lab.evidence import collect

        return collect(self.lab)

    def _values(self, evidence: Evidence) -> dict[str, str]:
        folder = self.lab.folder
        return {
            **self.tour.values(evidence),
            "lab": str(folder.root),
            "gateway": self.lab.endpoints.gateway,
            "token_file": str(folder.tokens / f"{self.lab.declared.learner}.header"),
        }

    def _panel(self, text: str, title: str, colour: str, evidence: Evidence) -> None:
        from rich.markdown import Markdown
        from rich.panel import Panel

        from archlab.grading.tour import fill

        body = Markdown(fill(text, self._values(evidence)))
        width = min(WIDTH, console.width)
        console.print(Panel(body, title=title, title_align="left", border_style=colour, width=width, padding=1))


def _list(content: Tour, progress: Progress) -> None:
    rows = [
        (n, s.id, s.title, f"{s.minutes} min", "[green]done[/]" if s.id in progress.done else "")
        for n, s in enumerate(content.steps, 1)
    ]
    console.print(table(f"{content.title} ({content.minutes} minutes)", ("", "step", "title", "time", ""), rows))
