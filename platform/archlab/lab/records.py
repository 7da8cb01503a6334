"""What experiments leave behind: this machine's calibration, a lab's sweeps. Evidence carries both."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from archlab.files import write_model
from archlab.lab.lab import Lab
from archlab.settings import home
from archlab.spec.experiments import Calibration, Sweep


def calibration() -> Calibration | None:
    """This machine's; None when it was never taken, or by another version of archlab."""
    try:
        return Calibration.model_validate_json((home() / "calibration.json").read_bytes())
    except (OSError, ValidationError):
        return None


def keep_calibration(taken: Calibration) -> None:
    """For every lab of this home."""
    write_model(home() / "calibration.json", taken)


def sweeps(lab: Lab) -> tuple[Sweep, ...]:
    """The newest of each name and model; damaged files count as not measured."""
    found = []
    for path in sorted(_folder(lab).glob("*.json")):
        try:
            found.append(Sweep.model_validate_json(path.read_bytes()))
        except (OSError, ValidationError):
            continue
    return tuple(found)


def keep_sweep(lab: Lab, sweep: Sweep) -> Path:
    """Replaces an earlier one of the same name and model; where it lies."""
    path = _folder(lab) / f"{sweep.name}.{sweep.model}.json"
    write_model(path, sweep)
    return path


def _folder(lab: Lab) -> Path:
    return lab.folder.root / "sweeps"
