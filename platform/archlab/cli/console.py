"""How the command line talks: one console, tables, JSON, and errors that name cause and next step."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

MIN_COLUMNS = 110
"""Tables are laid out for at least this width; a narrower terminal wraps whole lines instead of words."""


def _console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, highlight=False)
    return made if made.width >= MIN_COLUMNS else Console(stderr=stderr, highlight=False, width=MIN_COLUMNS)


console = _console()
err = _console(stderr=True)

LabOption = Annotated[
    str | None, typer.Option("--lab", "-l", help="Which lab; by default the only one, or the one used last.")
]
AsOption = Annotated[str | None, typer.Option("--as", "--user", "-u", help="As whom; learner by default.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

NANO = 1_000_000_000


def emit_json(value: Any) -> None:
    """Print a value as JSON: for scripts."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Sequence[str] = (),
    wrap: Sequence[str] = (),
) -> Table:
    """A plain table; columns named in `right` are numbers, those in `wrap` may take several lines."""
    made = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, no_wrap=column not in wrap, overflow="fold")
    for row in rows:
        made.add_row(*(str(cell) for cell in row))
    return made


def usd(nanousd: int) -> str:
    """Money for people: dollars with cents, or more digits where cents would hide it."""
    dollars = nanousd / NANO
    return f"{dollars:,.2f}" if abs(dollars) >= 0.1 or nanousd == 0 else f"{dollars:,.4f}"


def span(length: timedelta) -> str:
    """A length of time for people: 30 min, 6 h, 2 d."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def mib(size_bytes: int) -> str:
    """Memory for people, in MiB."""
    return f"{size_bytes / 2**20:,.0f}"
