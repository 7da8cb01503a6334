"""A full-screen page in a terminal: head, a body that scrolls, foot. Without colour it says the same."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.markdown import Markdown

MAX_COLUMNS = 100
MIN_COLUMNS, MIN_ROWS = 50, 14


@dataclass(frozen=True, slots=True)
class Page:
    """What is to be seen."""

    head: Sequence[str]
    body: Sequence[str]
    foot: Sequence[str]
    focus: tuple[int, int] | None = None
    """First and last body line that must be in view."""


class Screen:
    """Draws pages; remembers how far the body is scrolled.

    Args:
        colour: whether to send colours.
    """

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self.top = 0

    @property
    def columns(self) -> int:
        """Of text: one less than the terminal has, so that no line wraps by itself."""
        return min(shutil.get_terminal_size().columns, MAX_COLUMNS) - 1

    @property
    def rows(self) -> int:
        """Of the terminal."""
        return shutil.get_terminal_size().lines

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Use the terminal's second screen; what stood there before comes back."""
        sys.stdout.write("\x1b[?1049h\x1b[?25l")
        try:
            yield
        finally:
            sys.stdout.write("\x1b[?25h\x1b[?1049l")
            sys.stdout.flush()

    def render(self, *parts: RenderableType) -> list[str]:
        """Rich renderables as terminal lines."""
        console = Console(
            file=io.StringIO(),
            width=self.columns,
            force_terminal=True,
            color_system="standard" if self._colour else None,
            highlight=False,
            legacy_windows=False,
        )
        for part in parts:
            console.print(part)
        file = console.file
        assert isinstance(file, io.StringIO)
        return [line.rstrip() for line in file.getvalue().rstrip("\n").split("\n")]

    def markdown(self, text: str) -> list[str]:
        """Markdown as terminal lines."""
        return self.render(Markdown(text))

    def scroll(self, pages: float) -> None:
        """Move the body; the next drawing keeps it within bounds."""
        self.top = max(0, self.top + int(pages * max(1, self.rows - 7)))

    def draw(self, page: Page) -> None:
        """Show a page, cut to the terminal's size."""
        if self.columns < MIN_COLUMNS or self.rows < MIN_ROWS:
            lines = [f"This terminal is too small: {MIN_COLUMNS + 1} columns and {MIN_ROWS} lines are needed."]
        else:
            lines = self._laid_out(page)
        sys.stdout.write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")
        sys.stdout.flush()

    def _laid_out(self, page: Page) -> list[str]:
        room = self.rows - len(page.head) - len(page.foot) - 2
        self._keep_in_view(page, room)
        body = list(page.body[self.top : self.top + room])
        above, below = self.top, max(0, len(page.body) - self.top - room)
        rules = (
            self._rule(f"{above} more above: PgUp" if above else ""),
            self._rule(f"{below} more below: PgDn" if below else ""),
        )
        return [*page.head, rules[0], *body, *[""] * (room - len(body)), rules[1], *page.foot]

    def _keep_in_view(self, page: Page, room: int) -> None:
        self.top = max(0, min(self.top, len(page.body) - room))
        if page.focus is not None:
            first, last = page.focus
            if last >= self.top + room:
                self.top = last - room + 1
            self.top = min(self.top, first)

    def _rule(self, text: str) -> str:
        dash = "─" if (sys.stdout.encoding or "").lower().startswith("utf") else "-"
        label = f" {text} " if text else ""
        return label + dash * (self.columns - len(label))


def can_draw() -> bool:
    """Whether both ends are a terminal that understands cursor movement."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def wants_colour() -> bool:
    """Unless NO_COLOR is set (no-color.org)."""
    return not os.environ.get("NO_COLOR")
