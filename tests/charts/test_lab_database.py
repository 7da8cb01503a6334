"""Chart archlab: the registry's store in an external Postgres, by a Secret."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from tests.charts.test_charts import helm, render

from archlab.settings import data_root

CHART = data_root("helm") / "archlab"
ON = ("--set", "registry.database.secret=registry-database", "--set", "registry.database.port=6432")

pytestmark = pytest.mark.skipif(shutil.which("helm") is None, reason="there is no helm program on PATH")


def found(kind: str, name: str, *more: str) -> dict[str, Any]:
    rendered = render(CHART, CHART / "ci" / "ten-models-values.yaml", *more)
    return next(d["spec"] for d in rendered if (d["kind"], d["metadata"]["name"]) == (kind, name))


def stores(*more: str) -> list[dict[str, Any]]:
    containers = found("Deployment", "registry", *more)["template"]["spec"]["containers"]
    return [entry for entry in containers[0]["env"] if entry["name"] == "_MLFLOW_SERVER_FILE_STORE"]


def test_the_uri_comes_from_the_secret_and_stands_nowhere_else() -> None:
    assert stores() == []
    assert [entry["valueFrom"] for entry in stores(*ON)] == [
        {"secretKeyRef": {"name": "registry-database", "key": "uri"}}
    ]


def test_the_registry_gets_out_to_the_databases_port_and_to_no_other() -> None:
    way = {"ports": [{"port": 6432}]}
    assert way in found("NetworkPolicy", "registry", *ON)["egress"]
    assert all("to" in rule for rule in found("NetworkPolicy", "registry")["egress"])


def test_a_uri_instead_of_a_secrets_name_is_refused() -> None:
    done = helm("lint", str(CHART), "--set", "registry.database.secret=postgresql://me:word@db/x")
    assert done.returncode != 0
    assert "registry/database/secret" in (done.stdout + done.stderr).replace(".", "/")
