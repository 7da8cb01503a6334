"""`archlab backup`: what a cron job is told of backups that nobody can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from archlab.cli import backup
from archlab.lab import Lab, backups
from labs import NAME, still_lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    return Lab(still_lab(tmp_path))


def run(*arguments: str) -> Result:
    app = typer.Typer()
    backup.register(app)
    return CliRunner().invoke(app, ["backup", *arguments, "--lab", NAME])


def test_a_backup_that_nobody_can_read_is_listed_and_is_an_alert(lab: Lab) -> None:
    folder = backups.store(lab).folder
    folder.mkdir()
    (folder / "backup-20261127-120000-000.json").write_text("{")
    (told,) = json.loads(run("list", "--json").stdout)
    assert told["name"] == "backup-20261127-120000-000"
    assert "can't be read" in told["alert"]
    assert "can't be" in " ".join(run("list").stdout.split())
    verified = run("verify", "--all")
    assert verified.exit_code == 1
    assert "alert backup-20261127-120000-000" in verified.stdout
