"""Every chart, with its own values and with each of ci/: linted, rendered, and checked against Kubernetes' schemas."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from archlab.settings import data_root

HELM, KUBECONFORM = shutil.which("helm"), shutil.which("kubeconform")
CHARTS = sorted(path.parent for path in data_root("helm").glob("*/Chart.yaml"))
CASES = [(chart, values) for chart in CHARTS for values in [None, *sorted(chart.glob("ci/*-values.yaml"))]]
IDS = [f"{chart.name}-{values.stem if values else 'default'}" for chart, values in CASES]

pytestmark = pytest.mark.skipif(HELM is None, reason="there is no helm program on PATH")
each = pytest.mark.parametrize(("chart", "values"), CASES, ids=IDS)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["helm", *arguments], capture_output=True, text=True, check=False)


def given(values: Path | None) -> list[str]:
    return ["--values", str(values)] if values else []


def render(chart: Path, values: Path | None, *more: str) -> list[dict[str, Any]]:
    done = helm(
        "template", "archlab", str(chart), "-n", "archlab-test", "--kube-version", "1.34", *given(values), *more
    )
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@each
def test_lint_is_strict_and_clean(chart: Path, values: Path | None) -> None:
    done = helm("lint", "--strict", str(chart), *given(values))
    assert done.returncode == 0, done.stdout + done.stderr


@each
def test_every_object_says_what_it_is_part_of(chart: Path, values: Path | None) -> None:
    for document in render(chart, values):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "archlab", document["kind"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


@each
def test_one_template_per_kind(chart: Path, values: Path | None) -> None:
    for template in (chart / "templates").rglob("*.yaml"):
        done = helm(
            *("template", "archlab", str(chart), "--kube-version", "1.34", *given(values)),
            *("--show-only", str(template.relative_to(chart))),
        )
        kinds = {document["kind"] for document in yaml.safe_load_all(done.stdout) if document}
        assert len(kinds) <= 1, template
        if kinds and "tests" not in template.parts:
            assert {template.stem} == {kind.lower() for kind in kinds}


@pytest.fixture(scope="module")
def published_schemas() -> None:
    """Asked for once: where they can't be had, that takes its time."""
    done = kubeconform(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "any"}}))
    if "failed downloading schema" in done.stdout:
        pytest.skip("kubeconform can't download its schemas; tests/kube asks it with those of the cluster there")


def kubeconform(manifests: str) -> subprocess.CompletedProcess[str]:
    command = ["kubeconform", "-strict", "-summary", "-kubernetes-version", "1.34.0", "-"]
    return subprocess.run(command, input=manifests, capture_output=True, text=True, check=False, timeout=120)


@each
@pytest.mark.skipif(KUBECONFORM is None, reason="there is no kubeconform program on PATH")
def test_kubeconform(published_schemas: None, chart: Path, values: Path | None) -> None:
    done = kubeconform(yaml.safe_dump_all(render(chart, values)))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_an_unknown_value_is_refused_by_name(chart: Path) -> None:
    done = helm("lint", str(chart), "--set", "imagee.tag=1")
    assert done.returncode != 0
    assert "imagee" in done.stdout + done.stderr
