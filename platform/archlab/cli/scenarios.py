"""`archlab scenarios`: what can be run."""

from __future__ import annotations

import typer

from archlab.cli.check import check
from archlab.cli.console import JsonOption, console, emit_json, span, table


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What can be run.", no_args_is_help=True)
    group.command("list")(list_scenarios)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="scenarios")


def list_scenarios(as_json: JsonOption = False) -> None:
    """The scenarios that ship with archlab."""
    from archlab.plan.loading import load_scenario, scenario_folder, scenario_names

    found = [load_scenario(scenario_folder(name) / "scenario.yaml") for name in scenario_names()]
    if as_json:
        emit_json([{"name": s.name, "title": s.title, "level": s.level, "minutes": s.minutes} for s in found])
        return
    rows = [(s.name, s.title, s.level, s.minutes) for s in found]
    console.print(table("Scenarios", ("name", "title", "level", "minutes"), rows, right=("minutes",)))


def show(name: str, as_json: JsonOption = False) -> None:
    """One scenario: the brief, its models and callers."""
    from rich.markdown import Markdown

    from archlab.plan.loading import load_scenario, scenario_folder

    folder = scenario_folder(name)
    scenario = load_scenario(folder / "scenario.yaml")
    if as_json:
        emit_json(scenario.model_dump(mode="json"))
        return
    brief = folder / "README.md"
    console.print(Markdown(brief.read_text() if brief.exists() else f"# {scenario.title}\n\n{scenario.summary}"))
    rows = [
        (
            m.name,
            m.team,
            m.mode.value,
            m.caller.name,
            f"{m.caller.deadline_ms} ms",
            span(m.caller.max_age),
            m.caller.represents,
        )
        for m in scenario.models
    ]
    columns = ("model", "team", "mode", "caller", "deadline", "oldest features", "real requests each")
    console.print(table("Models and callers", columns, rows, right=("deadline", "real requests each")))
