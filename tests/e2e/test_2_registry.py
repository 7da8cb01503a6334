"""An unmodified MLflow client meets the gate."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from archlab import bom, identity
from archlab.lab import Lab
from harness import Cli

pytestmark = pytest.mark.lab


def _client(lab: Lab, code: str, user: str = "learner") -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": lab.endpoints.registry,
        "MLFLOW_TRACKING_TOKEN": lab.token(user),
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    prologue = "import mlflow\nfrom mlflow import MlflowClient\nclient = MlflowClient()\n"
    return subprocess.run(
        [sys.executable, "-c", prologue + textwrap.dedent(code)],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_it_reads_the_champions_with_metrics_and_signature(lab: Lab) -> None:
    done = _client(
        lab,
        """
        for model in client.search_registered_models():
            version = client.get_model_version_by_alias(model.name, "champion")
            metrics = client.get_run(version.run_id).data.metrics
            info = mlflow.models.get_model_info(f"models:/{model.name}@champion")
            print(model.name, version.version, version.tags["archlab.author"], version.tags["archlab.approved_by"],
                  len(metrics), info.signature is not None)
        """,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == 10
    for name, version, author, approver, metrics, signed in rows:
        assert (version, author, approver, signed) == ("1", "trainer", "approver", "True"), name
        assert int(metrics) >= 2


def test_a_version_without_evidence_is_refused_with_every_reason(lab: Lab) -> None:
    done = _client(
        lab,
        """
        from mlflow.exceptions import RestException
        source = client.get_model_version_by_alias("flight-time", "champion").source
        version = client.create_model_version("flight-time", source, model_id=source.removeprefix("models:/"))
        try:
            client.set_registered_model_alias("flight-time", "champion", version.version)
        except RestException as error:
            print(error.error_code)
            print(error.message)
        print(client.get_model_version_by_alias("flight-time", "champion").version)
        client.delete_model_version("flight-time", version.version)
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PERMISSION_DENIED")
    assert "approved_by_another" in done.stdout
    assert "evidence_complete_and_fresh" in done.stdout
    assert done.stdout.rstrip().endswith("1")


def test_what_nobody_signed_is_not_registered(lab: Lab) -> None:
    done = _client(
        lab,
        """
        from pathlib import Path
        from tempfile import TemporaryDirectory
        from mlflow.exceptions import RestException
        champion = client.get_model_version_by_alias("flight-time", "champion")
        run = client.create_run(client.create_experiment("copies"))
        with TemporaryDirectory() as folder:
            copy = Path(mlflow.artifacts.download_artifacts(f"models:/flight-time/{champion.version}", dst_path=folder))
            for changed in ("model.onnx", "model.sig"):
                (copy / changed).write_bytes(b"")
                client.log_artifacts(run.info.run_id, str(copy), changed)
                try:
                    client.create_model_version("flight-time", f"{run.info.artifact_uri}/{changed}", run.info.run_id)
                except RestException as error:
                    print(error.error_code, error.message.replace(chr(10), " "))
        """,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("PERMISSION_DENIED") and "supply_chain/signed_by_trusted_key" in line for line in lines)


def test_every_champion_has_a_bill_of_materials_about_its_own_file(cli: Cli, lab: Lab) -> None:
    served = {r["model"]: r for r in lab.control.get("/releases")["releases"] if r["role"] == "champion"}
    assert len(served) == 10
    for model, release in served.items():
        document = cli.json("models", "bom", f"{model}@champion")
        assert document["bomFormat"] == "CycloneDX"
        assert bom.summary(document)["model_sha256"] == release["source_sha256"]
        assert "media" in release["model_signature"]
    shown = cli.ok("models", "bom", "flight-time")
    assert "machine-learning-model" in shown
    assert "scikit-learn" in shown
    assert cli.run("models", "bom", "flight-time@9").returncode == 1


def test_the_refusal_is_in_the_decision_log_which_is_whole(cli: Cli, lab: Lab) -> None:
    records = cli.json("policy", "decisions")
    denied = [r for r in records if not r["decision"]["allow"] and r["query"]["resource"]["name"] == "flight-time"]
    assert denied
    assert denied[-1]["decision"]["engine"].startswith("embedded regopy")
    assert len(denied[-1]["decision"]["bundle_digest"]) == 64
    assert "whole" in cli.ok("policy", "verify")


def _status(lab: Lab, path: str, token: str | None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(lab.endpoints.gateway + path, headers=headers)) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "path", ["/mlflow/", "/v2/models/departure-delay", "/control/score", "/mlflow/api/2.0/mlflow/experiments/search"]
)
def test_without_a_token_or_with_an_expired_one_the_door_stays_shut(lab: Lab, path: str) -> None:
    assert _status(lab, path, None) == 401
    assert _status(lab, path, identity.mint(lab.folder, lab.user(), lifetime_s=-4000)) == 401


def test_the_web_ui_opens_with_a_one_time_address(cli: Cli, lab: Lab) -> None:
    import http.cookiejar

    address = cli.ok("open", "mlflow", "--print").strip()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    with browser.open(address) as page:
        assert page.url.rstrip("/").endswith("/mlflow")
        assert b"<title>MLflow</title>" in page.read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.build_opener().open(address)


def test_a_viewer_may_not_write(lab: Lab) -> None:
    done = _client(lab, 'client.set_registered_model_tag("flight-time", "note", "x")', user="caller")
    assert done.returncode != 0
    assert "PERMISSION_DENIED" in done.stderr


def test_the_source_is_not_reachable_past_the_gateway(lab: Lab) -> None:
    sockets = list(Path(lab.folder.run).glob("*.sock"))
    assert sockets
    assert lab.folder.run.stat().st_mode & 0o077 == 0
