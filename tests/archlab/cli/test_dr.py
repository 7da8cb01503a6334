"""`archlab dr`: what it takes a lab for, and what it says beforehand."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from archlab.cli import dr
from archlab.errors import ConflictError
from archlab.files import write_model
from archlab.lab import Lab
from archlab.lab.lock import exclusive
from labs import NAME, still_lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    made = Lab(still_lab(tmp_path))
    write_model(made.folder.identity, made.identity.model_copy(update={"scenario": "disaster-recovery"}))
    return Lab(made.folder)


def _app() -> typer.Typer:
    made = typer.Typer()
    dr.register(made)
    return made


@pytest.mark.parametrize(
    "command",
    [
        ("kill", "east"),
        ("revive", "east"),
        ("cut",),
        ("mend",),
        ("copy",),
        ("failover",),
        ("failback",),
        ("isolate", "west"),
        ("assign", "registry", "critical"),
        ("set", "critical", "posture", "pilot-light"),
    ],
    ids=lambda command: command[0],
)
def test_nothing_is_changed_while_another_command_changes_the_lab(lab: Lab, command: tuple[str, ...]) -> None:
    with exclusive(lab.folder, "dr failback"):
        done = CliRunner().invoke(_app(), ["dr", *command, "--lab", NAME])
    assert isinstance(done.exception, ConflictError)
    assert "is busy: archlab dr failback" in done.exception.message
