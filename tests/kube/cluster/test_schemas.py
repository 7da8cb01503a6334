"""Both charts with each of ci/, checked strictly by kubeconform with the schemas of the cluster at hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

import api_schemas
from archlab.settings import data_root

KUBECONFORM = shutil.which("kubeconform")
CHARTS = sorted(path.parent for path in data_root("helm").glob("*/Chart.yaml"))
CASES = [(chart, values) for chart in CHARTS for values in sorted(chart.glob("ci/*-values.yaml"))]

pytestmark = pytest.mark.skipif(not KUBECONFORM, reason="there is no kubeconform program on PATH")


def rendered(chart: Path, values: Path) -> list[dict[str, Any]]:
    command = ["helm", "template", "lab", str(chart), "--kube-version", "1.34", "--values", str(values)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Path:
    versions = {document["apiVersion"] for case in CASES for document in rendered(*case)}
    return api_schemas.write(tmp_path_factory.mktemp("schemas"), sorted(versions))


def judged(location: Path, documents: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What kubeconform says of each document."""
    command = ["kubeconform", "-strict", "-verbose", "-output", "json", "-schema-location", str(location), "-"]
    done = subprocess.run(
        command, input=yaml.safe_dump_all(documents), capture_output=True, text=True, check=False, timeout=120
    )
    found: list[dict[str, str]] = json.loads(done.stdout)["resources"]
    return found


@pytest.mark.parametrize(("chart", "values"), CASES, ids=[f"{chart.name}-{values.stem}" for chart, values in CASES])
def test_every_manifest_is_as_the_api_server_describes_it(location: Path, chart: Path, values: Path) -> None:
    documents = rendered(chart, values)
    found = judged(location, documents)
    assert [one for one in found if one["status"] != "statusValid"] == []
    assert Counter(one["kind"] for one in found) == Counter(document["kind"] for document in documents)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replica"), 2),
        (("spec", "replicas"), "two"),
        (("spec", "template", "spec", "containers", 0, "readinesProbe"), {}),
        (("spec", "template", "spec", "containers", 0, "ports"), {"containerPort": 1}),
        (("spec", "selector"), None),
    ],
)
def test_a_field_that_is_misspelt_or_of_another_type_is_found(
    location: Path, path: tuple[str | int, ...], value: object
) -> None:
    chart = data_root("helm") / "archlab"
    documents = rendered(chart, chart / "ci" / "ten-models-values.yaml")
    document = next(d for d in documents if d["kind"] == "Deployment")
    inner: Any = document
    for step in path[:-1]:
        inner = inner[step]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    (one,) = judged(location, [document])
    assert one["status"] == "statusInvalid", one
