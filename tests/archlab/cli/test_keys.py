"""Keys through a real pseudo-terminal."""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator

import pytest

from archlab.cli.keys import Keyboard


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = os.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"a", ["a"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b[6~x", ["pgdn", "x"]),
        (b"\x1b[Z\t", ["backtab", "tab"]),
        (b"\r \x7f", ["enter", "space", "backspace"]),
        (b"\x1b", ["esc"]),
        (b"\x1b[99~", ["unknown"]),
        ("é1".encode(), ["é", "1"]),
    ],
)
def test_keys_have_names(terminal: tuple[int, int], typed: bytes, keys: list[str]) -> None:
    ours, theirs = terminal
    with Keyboard(theirs) as keyboard:
        os.write(ours, typed)
        assert [keyboard.read(5) for _ in keys] == keys
        assert keyboard.read(0) is None


def test_the_terminal_is_as_before(terminal: tuple[int, int]) -> None:
    _, theirs = terminal
    before = termios.tcgetattr(theirs)
    with Keyboard(theirs):
        assert termios.tcgetattr(theirs) != before
    assert termios.tcgetattr(theirs) == before
