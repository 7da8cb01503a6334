"""The command line: one thin module per group of commands; heavy imports happen inside the commands."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

MODULES = (
    "scenarios",
    "labs",
    "doctor",
    "image",
    "access",
    "teams",
    "models",
    "autoscale",
    "isolation",
    "quota",
    "lifecycle",
    "compare",
    "devices",
    "batch",
    "clock",
    "outage",
    "backup",
    "drill",
    "dr",
    "money",
    "cost",
    "budget",
    "policy",
    "audit",
    "lineage",
    "retention",
    "plan",
    "cluster",
    "load",
    "neighbours",
    "questions",
    "designs",
    "sweep",
    "gradebook",
    "exam",
    "quiz",
    "pack",
    "tour",
)


def main() -> None:
    """Entry point: run a command, turn an error into a message and an exit code."""
    from archlab.errors import ArchlabError

    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    app = _app()
    try:
        app()
    except ArchlabError as error:
        _explain(error)
        if debug:
            raise
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Nothing is lost; the same command continues.\n")
        raise SystemExit(130) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except Exception as error:
        if debug:
            raise
        _explain(
            ArchlabError(f"{type(error).__name__}: {error}", "This is our fault; run again with --debug for the trace.")
        )
        raise SystemExit(3) from None


def _app() -> typer.Typer:
    import typer

    app = typer.Typer(
        name="archlab",
        help="A small real ML platform of one airline, to design, break, load and be graded on.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        epilog="Start with: archlab up ten-models. Add --debug to any command for a traceback.",
    )
    for name in MODULES:
        importlib.import_module(f"archlab.cli.{name}").register(app)
    return app


def _explain(error: Exception) -> None:
    from archlab.cli.console import err

    err.print(f"[bold red]Error:[/] {_plain(getattr(error, 'message', str(error)))}", soft_wrap=True)
    for line in getattr(error, "log_tail", ()):
        err.print(f"  [dim]{_plain(line)}[/]", soft_wrap=True)
    if remedy := getattr(error, "remedy", ""):
        err.print(f"[bold]Next:[/] {_plain(remedy)}", soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
