"""`archlab plan check` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from admission_cases import deployment
from archlab.cli import _app
from archlab.errors import UsageError


def write(folder: Path, *documents: object) -> str:
    path = folder / "web.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return str(path)


def test_a_refusal_names_rule_and_reason(tmp_path: Path) -> None:
    done = CliRunner().invoke(_app(), ["plan", "check", write(tmp_path, deployment(), deployment(image="nginx"))])
    assert done.exit_code == 1
    assert "2 workloads looked at; 1 would be refused." in done.output
    assert "allowed_image" in done.output
    assert "may run here, not nginx." in " ".join(done.output.split())


def test_what_helm_prints_can_be_piped_in(tmp_path: Path) -> None:
    done = CliRunner().invoke(_app(), ["plan", "check", "-", "--json"], input=yaml.safe_dump(deployment()))
    assert done.exit_code == 0
    (finding,) = json.loads(done.output)
    assert (finding["kind"], finding["name"], finding["allow"], finding["reasons"]) == ("Deployment", "web", True, [])


def test_the_clusters_values_count(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("admission: {allowedImages: [nginx]}")
    manifest = write(tmp_path, deployment(image="nginx:1.27"))
    assert CliRunner().invoke(_app(), ["plan", "check", manifest, "--values", str(values)]).exit_code == 0


def test_a_file_that_is_not_there_is_named() -> None:
    done = CliRunner().invoke(_app(), ["plan", "check", "nowhere.yaml"])
    assert "nowhere.yaml can't be read" in str(done.exception)


@pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")
def test_a_scenario_is_checked_before_anything_is_there() -> None:
    done = CliRunner().invoke(_app(), ["plan", "check", "--scenario", "ten-models", "--json"])
    assert done.exit_code == 0, done.output
    names = {finding["name"] for finding in json.loads(done.output)}
    assert {"gateway", "registry", "control", "online"} <= names


def test_nothing_to_check_is_a_wrong_usage() -> None:
    done = CliRunner().invoke(_app(), ["plan", "check"])
    assert isinstance(done.exception, UsageError)
