"""The layout that imports and wheels rely on."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOTS = ("platform", "serving", "feature_store", "scenarios", "device_plugin", "tests")


@pytest.mark.parametrize("name", ROOTS)
def test_no_code_folder_is_itself_a_package(name: str) -> None:
    assert not (ROOT / name / "__init__.py").exists()


def test_tests_hold_no_packages() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_standard_librarys_platform_is_found() -> None:
    run = [sys.executable, "-c", "import platform; print(platform.python_version())"]
    assert subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout.startswith("3.")


def test_nothing_in_the_lock_names_a_host() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert lines
    assert not [line for line in lines if "://" in line or line.startswith(("--index", "-i ", "--find-links"))]


@pytest.mark.slow
def test_a_wheel_installed_elsewhere_carries_its_content(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import archlab, archlab.cli; from archlab.plan.loading import scenario_names, scenario_folder;"
        "from archlab.plan.loading import load_scenario; from archlab.settings import data_root;"
        "print(archlab.__file__); print(*scenario_names());"
        "print(load_scenario(scenario_folder('ten-models') / 'scenario.yaml').title);"
        "print(len(list(data_root('policies').rglob('*.rego'))))"
    )
    environment = {**os.environ, "PYTHONPATH": str(site), "ARCHLAB_HOME": str(tmp_path / "home")}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    where, names, title, rules = done.stdout.splitlines()
    assert where.startswith(str(site))
    assert "ten-models" in names.split()
    assert title == "Ten models, batch or real time"
    assert int(rules) >= 8
