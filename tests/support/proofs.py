"""Questions of a scenario proven by what was recorded of labs, with its files as they are or one of them broken."""

from __future__ import annotations

import shutil
from pathlib import Path

from archlab.grading.proof import checking, recording
from archlab.grading.proof.findings import Finding

SOLUTIONS = "solution/solutions.py"


def proven(folder: Path, *questions: str, variants: int) -> list[Finding]:
    """What does not hold of some questions, or of all when none is named."""
    made = checking.read(folder)
    asked = [q for q in made.pack.questions if not questions or q.id in questions]
    assert {q.id for q in asked} >= set(questions)
    takes = recording.load(folder)
    stale = [f for f in recording.stale(made.pack, made.solutions) if not questions or f.question in questions]
    return [*stale, *checking.prove(made, takes, asked, lambda _step, _detail: None, variants=variants)]


def broken(scenario: Path, into: Path, old: str, new: str, file: str = SOLUTIONS, within: str = "") -> Path:
    """A copy of a scenario with one thing changed.

    Args:
        scenario: its folder.
        into: where the copy is made.
        old: what is changed; there must be one of it.
        new: what stands there then.
        file: below the folder.
        within: a function; what stands outside of it does not count.
    """
    folder = into / scenario.name
    shutil.copytree(scenario, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / file
    text = path.read_text()
    begins = text.index(f"def {within}(") if within else 0
    ends = text.find("\ndef ", begins + 1) if within else -1
    body = text[begins:ends] if ends >= 0 else text[begins:]
    assert body.count(old) == 1, f"{file} has {old!r} {body.count(old)} times"
    path.write_text(text[:begins] + body.replace(old, new) + text[begins + len(body) :])
    return folder
