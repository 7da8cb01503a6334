"""Backups of a lab that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.lab import Lab
from harness import Cli

pytestmark = pytest.mark.lab


def test_a_running_lab_is_backed_up_and_half_a_backup_is_an_alert(cli: Cli, fresh: Lab, tmp_path: Path) -> None:
    folder = ("--folder", str(tmp_path / "backups"))
    for only in ((), ("--only", "metadata")):
        cli.ok("backup", "take", *only, *folder)
    whole, half = cli.json("backup", "list", *folder)
    assert "files compared" in cli.ok("backup", "verify", whole["name"], *folder)
    refused = cli.run("backup", "verify", "--all", *folder)
    assert refused.returncode == 1
    assert "metadata without weights" in refused.stdout
    assert [bool(b["alert"]) for b in cli.json("backup", "list", *folder)] == [False, True]
    cli.ok("backup", "restore", whole["name"], "--into", str(tmp_path / "restored"), *folder)
    files = [p.relative_to(tmp_path / "restored" / "weights") for p in (tmp_path / "restored").rglob("model.onnx")]
    assert files
    there = fresh.folder.registry / "artifacts"
    assert all((there / f).read_bytes() == (tmp_path / "restored" / "weights" / f).read_bytes() for f in files)
    running = cli.run("backup", "restore", whole["name"], *folder)
    assert running.returncode == 1
    assert "Stop it first" in running.stderr
    assert half["parts"] == ["metadata"]
