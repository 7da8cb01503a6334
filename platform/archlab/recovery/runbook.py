"""A runbook as code: steps in an order, each timed and kept when done. Killed anywhere, it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from archlab.files import write_model
from archlab.spec.base import Spec


class Step(NamedTuple):
    """One step: it may be done twice, and says what it did."""

    name: str
    act: Callable[[], str]
    changes: bool = True
    """False: it only looks. It is kept with the next step that changes something; broken off before, the runbook has
    done nothing, and looks again."""


class Done(Spec):
    """A step that was done."""

    step: str
    seconds: float
    said: str


class Progress(Spec):
    """How far a runbook is."""

    runbook: str
    done: tuple[Done, ...] = ()


def carry_out(path: Path, runbook: str, steps: Sequence[Step], note: Callable[[str, str], object]) -> tuple[Done, ...]:
    """Do what is not done yet; when all is, the record is removed and the next call starts anew.

    Args:
        path: where it is kept what is done.
        runbook: its name. What another one left there is not continued.
        steps: in their order.
        note: told of every step that is done.

    Raises:
        ArchlabError: whatever a step raises; the steps before it stay done.
    """
    known = _known(path, runbook)
    for step in steps:
        if step.name in {d.step for d in known.done}:
            continue
        began = time.monotonic()
        said = step.act()
        known = Progress(
            runbook=runbook, done=(*known.done, Done(step=step.name, seconds=time.monotonic() - began, said=said))
        )
        if step.changes:
            write_model(path, known)
        note(step.name, said)
    path.unlink(missing_ok=True)
    return known.done


def under_way(path: Path) -> str:
    """Name of the runbook that was broken off there; empty when none was."""
    try:
        return Progress.model_validate_json(path.read_bytes()).runbook
    except (OSError, ValueError):
        return ""


def _known(path: Path, runbook: str) -> Progress:
    try:
        found = Progress.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return Progress(runbook=runbook)
    return found if found.runbook == runbook else Progress(runbook=runbook)
