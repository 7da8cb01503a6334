"""Why a lab can't be graded is said plainly: nothing is running here, and the files say the rest."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.errors import LabStateError
from archlab.files import write_model
from archlab.identity import create_keys
from archlab.lab.lab import Lab
from archlab.lab.picture import picture
from archlab.plan.layout import layout
from archlab.settings import LabFolder
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.scenario import Overrides
from archlab.targets.ports import free_port
from synthetic import World


def _lab(root: Path, *, seed: int = 3, planned: int = 3, state: LabState = LabState.READY) -> Lab:
    folder = LabFolder(root / "away")
    made = LabIdentity(
        lab="away",
        scenario="ten-models",
        seed=seed,
        code_version="0",
        gateway_port=free_port(18080),
        state=state,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    write_model(folder.identity, made)
    write_model(folder.plan, layout("away", World(seed=planned).scenario, planned, Overrides()))
    create_keys(folder)
    return Lab(folder)


def test_a_lab_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(LabStateError, match=r"Lab away is down: .*archlab up --lab away"):
        picture(_lab(tmp_path))


def test_a_lab_that_was_never_finished(tmp_path: Path) -> None:
    with pytest.raises(LabStateError, match="never finished"):
        picture(_lab(tmp_path, state=LabState.SEEDING))


def test_a_lab_whose_plan_is_of_another_seed(tmp_path: Path) -> None:
    with pytest.raises(LabStateError, match=r"runs the variant of seed 5, but .* says seed 3"):
        picture(_lab(tmp_path, planned=5))
