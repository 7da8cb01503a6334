"""A lab's folder without its processes, for commands that only read it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from archlab import identity
from archlab.files import write_model
from archlab.plan.layout import layout
from archlab.settings import LabFolder
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.scenario import Overrides
from synthetic import World

NAME = "still"


def still_lab(home: Path, seed: int = 1, port: int = 9) -> LabFolder:
    """A ready ten-model lab that is down; nothing listens on its port."""
    folder = LabFolder(home / NAME)
    folder.root.mkdir(parents=True)
    identity.create_keys(folder)
    write_model(
        folder.identity,
        LabIdentity(
            lab=NAME,
            scenario="ten-models",
            seed=seed,
            code_version="0",
            gateway_port=port,
            state=LabState.READY,
            created=datetime(2013, 12, 2, tzinfo=UTC),
        ),
    )
    world = World(seed=seed)
    write_model(folder.plan, layout(NAME, world.scenario, seed, Overrides()))
    return folder
