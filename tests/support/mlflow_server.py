"""A real MLflow tracking server on a unix socket, without the gate, and models registered in it over its REST API."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from tests.archlab_serving.signatures import public_pem, signed_model

from archlab.settings import LabFolder

START_WITHIN_S = 120.0
API = "/mlflow/api/2.0/mlflow"


class MlflowServer:
    """MLflow's own ASGI app with SQLite and a folder of artifacts; what is registered is signed with its key."""

    def __init__(self, root: Path, socket: Path) -> None:
        self.root = root
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.socket = socket
        store = f"sqlite:///{root / 'mlflow.db'}"
        environment = {
            **os.environ,
            "_MLFLOW_STATIC_PREFIX": "/mlflow",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "_MLFLOW_SERVER_FILE_STORE": store,
            "_MLFLOW_SERVER_REGISTRY_STORE": store,
            "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
            "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(root / "artifacts"),
            "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        }
        (root / "artifacts").mkdir(parents=True)
        command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--uds", str(socket)]
        with (root / "mlflow.log").open("wb") as log:
            self.process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
        try:
            self._await(time.monotonic() + START_WITHIN_S)
            self.experiment = self.post("/experiments/create", {"name": "training"})["experiment_id"]
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self.socket.unlink(missing_ok=True)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        with self.client() as client:
            return client.post(API + path, json=body).raise_for_status().json()

    def trusted_by(self, folder: LabFolder) -> None:
        """Let a lab trust what is registered here."""
        with (folder.keys / "trusted.pem").open("ab") as file:
            file.write(public_pem(self.key))

    def register(
        self, model: str, onnx: bytes, tags: dict[str, str], *, key: ec.EllipticCurvePrivateKey | None = None
    ) -> str:
        """Log a model with this model.onnx, signed, and register it; returns the version."""
        run = self.post("/runs/create", {"experiment_id": self.experiment, "start_time": 1})["run"]["info"]["run_id"]
        logged = self.post("/logged-models", {"experiment_id": self.experiment, "name": model, "source_run_id": run})[
            "model"
        ]["info"]
        self.put_artifact(logged["artifact_uri"], onnx)
        digests = {"model.onnx": hashlib.sha256(onnx).hexdigest()}
        self.put_artifact(logged["artifact_uri"], signed_model(digests, key or self.key).encode(), "model.sig")
        with self.client() as client:
            status = {"model_id": logged["model_id"], "status": "LOGGED_MODEL_READY"}
            client.patch(f"{API}/logged-models/{logged['model_id']}", json=status).raise_for_status()
            client.post(f"{API}/registered-models/create", json={"name": model})
        source = {
            "name": model,
            "source": f"models:/{logged['model_id']}",
            "run_id": run,
            "model_id": logged["model_id"],
        }
        body = {**source, "tags": [{"key": key, "value": value} for key, value in tags.items()]}
        return str(self.post("/model-versions/create", body)["model_version"]["version"])

    def put_artifact(self, uri: str, content: bytes, name: str = "model.onnx") -> None:
        """Write a file where an artifact URI says."""
        path = uri.removeprefix("mlflow-artifacts:").lstrip("/")
        folder = self.root / "artifacts" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    def tamper(self, model: str, version: str, content: bytes, name: str = "model.onnx") -> None:
        """Change a registered file behind the registry's back."""
        with self.client() as client:
            query = {"name": model, "version": version}
            uri = client.get(f"{API}/model-versions/get-download-uri", params=query).json()["artifact_uri"]
        self.put_artifact(uri, content, name)

    def alias(self, model: str, alias: str, version: str) -> None:
        self.post("/registered-models/alias", {"name": model, "alias": alias, "version": version})

    def client(self) -> httpx.Client:
        """A client of its socket; MLflow answers to the host name localhost only."""
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://localhost", timeout=60)

    def _await(self, deadline: float) -> None:
        while not self._answers():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
            assert self.process.poll() is None, (self.root / "mlflow.log").read_text()
            assert time.monotonic() < deadline

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        try:
            with self.client() as client:
                return client.get("/mlflow/health").status_code == 200
        except httpx.HTTPError:
            return False


def tags(columns: list[tuple[str, str]], keys: list[str]) -> dict[str, str]:
    """The tags that a release needs."""
    listed = [{"name": name, "source": source} for name, source in columns]
    return {"archlab.columns": json.dumps(listed), "archlab.keys": json.dumps(keys)}
