"""Keys from a terminal, one at a time, by name."""

from __future__ import annotations

import os
import select
import termios
import tty
from types import TracebackType
from typing import Any, Self

_SEQUENCES = {
    "[A": "up", "[B": "down", "[C": "right", "[D": "left", "OA": "up", "OB": "down", "OC": "right", "OD": "left",
    "[5~": "pgup", "[6~": "pgdn", "[H": "home", "[F": "end", "OH": "home", "OF": "end", "[1~": "home", "[4~": "end",
    "[Z": "backtab", "[3~": "delete",
}  # fmt: skip
_CONTROLS = {"\r": "enter", "\n": "enter", " ": "space", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}
_ESCAPE_WAIT_S = 0.05
"""How long the rest of an arrow key's sequence may take before a lone Esc is meant."""


class Keyboard:
    """A terminal whose keys arrive as they are pressed; as it was again on leaving. Ctrl-C still interrupts;
    Ctrl-Z does nothing, since a shell can't be used in a terminal left like this.

    Args:
        descriptor: of a terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] = []
        self._held = ""

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        changed = termios.tcgetattr(self._descriptor)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(self._descriptor, termios.TCSANOW, changed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def read(self, timeout_s: float) -> str | None:
        """The next key: a character, or a name such as `up`; None when none came in time, `eof` at the end."""
        if not self._held and not self._more(timeout_s):
            return None
        if not self._held:
            return "eof"
        character, self._held = self._held[0], self._held[1:]
        if character != "\x1b":
            return _CONTROLS.get(character, character)
        return self._sequence()

    def _sequence(self) -> str:
        """What follows an Esc."""
        if not self._held:
            self._more(_ESCAPE_WAIT_S)
        for length in (2, 3):
            while len(self._held) < length and self._held and self._more(_ESCAPE_WAIT_S):
                pass
            if name := _SEQUENCES.get(self._held[:length]):
                self._held = self._held[length:]
                return name
        if self._held[:1] in ("[", "O"):
            self._held = ""
            return "unknown"
        return "esc"

    def _more(self, timeout_s: float) -> bool:
        """Take what has been typed; False when nothing came in time."""
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        if not ready:
            return False
        self._held += os.read(self._descriptor, 1024).decode(errors="ignore")
        return True
