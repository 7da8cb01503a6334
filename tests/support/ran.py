"""Commands that succeeded in this test run, as a guide writes them: a guide's test need not run them once more."""

from __future__ import annotations

from collections.abc import Sequence

RAN: set[str] = set()
LAB = "ten-models"
"""What guides call the lab."""


def note(words: Sequence[str], lab: str) -> None:
    """A command has succeeded; `lab` is what the tests call theirs."""
    RAN.add(" ".join(LAB if word == lab else word for word in words))
