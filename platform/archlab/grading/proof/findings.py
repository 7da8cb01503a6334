"""What a proof found wrong: which question, what was expected, what was found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

SHOWN_CHARACTERS = 160


class Check(StrEnum):
    """What was proven, or could not be."""

    UNTOUCHED = "untouched"
    """A lab in which nothing happened earns less than full."""
    SOLUTION = "solution"
    """The reference solution earns full, in every variant tried."""
    MISTAKE = "mistake"
    """A declared wrong answer earns less than full and is told its misconception."""
    SEEDS = "seeds"
    """The right answer differs between seeds; one copied from another seed is mostly wrong."""
    MAPPING = "mapping"
    """Competencies and exam domains are known."""
    TEXTS = "texts"
    """Text, hints and brief don't give the answer away."""
    EXPLANATION = "explanation"
    """The explanation shows the learner's own figures."""
    RECORDING = "recording"
    """The recorded evidence belongs to this content."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with the content."""

    question: str
    """Its id; empty for the scenario as a whole."""
    check: Check
    expected: str
    found: str
    seed: int | None = None
    """Where it shows; None when it does not hang on one."""

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "question": self.question,
            "check": self.check.value,
            "seed": self.seed,
            "expected": self.expected,
            "found": self.found,
        }


def shown(value: Any) -> str:
    """An answer for people, cut to a line."""
    text = f"{value:,.6g}" if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
