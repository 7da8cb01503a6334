"""A signed feed on disk, small ONNX models, and the real server behind a unix socket or a port."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from onnx import TensorProto, helper, numpy_helper
from tests.archlab_serving.signatures import public_pem, signed_model

from archlab_serving.settings import Settings

DEADLINE_S = 120.0
POOL = "online"
COLUMNS = (("distance", "request"), ("hour", "request"), ("temp", "weather"), ("wind", "weather"), ("late", "carrier"))
KEYS = ("origin", "carrier")


def linear_model(weights: Sequence[float], bias: float = 0.0) -> bytes:
    """An ONNX file that keeps the contract: `prediction = features @ weights + bias`."""
    matrix = numpy_helper.from_array(np.array(weights, dtype=np.float32).reshape(-1, 1), "w")
    offset = numpy_helper.from_array(np.array([bias], dtype=np.float32), "b")
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["prediction"]),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, "linear", [features], [prediction], [matrix, offset])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def write_json(path: Path, document: object) -> None:
    """Replaces the file in one step, as control does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(orjson.dumps(document))
    temporary.replace(path)


class Lab:
    """The part of a lab's folder that servers read: keys, release feed, snapshots."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.feed = root / "releases" / "feed.json"
        self.snapshots = root / "snapshots" / "current.json"
        self.public_key = root / "keys" / "release.pub.pem"
        self.trusted_keys = root / "keys" / "trusted.pem"
        self.prediction_log = root / "predictions" / "server-0.jsonl"
        self.sequence = 0
        self.key = Ed25519PrivateKey.generate()
        self.public_key.parent.mkdir(parents=True)
        pem = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public_key.write_bytes(pem)
        self.model_key = ec.generate_private_key(ec.SECP256R1())
        self.trusted_keys.write_bytes(public_pem(self.model_key))

    def environment(self) -> dict[str, str]:
        """The variables of a server of pool `online`."""
        return {
            "ARCHLAB_SERVING_UNIT": "server",
            "ARCHLAB_SERVING_REPLICA": "0",
            "ARCHLAB_SERVING_POOL": POOL,
            "ARCHLAB_SERVING_FEED": str(self.feed),
            "ARCHLAB_SERVING_SNAPSHOTS": str(self.snapshots),
            "ARCHLAB_SERVING_PUBLIC_KEY": str(self.public_key),
            "ARCHLAB_SERVING_TRUSTED_KEYS": str(self.trusted_keys),
            "ARCHLAB_SERVING_PREDICTION_LOG": str(self.prediction_log),
        }

    def settings(self, **changes: Any) -> Settings:
        """The same as `environment`, for parts that are tested without a process."""
        return replace(Settings.from_environment(self.environment()), **changes)

    def onnx(self, version: str = "1", bias: float = 0.0, **changes: Any) -> dict[str, Any]:
        """A release of model `delay`, signed; `changes` are made before signing."""
        return self.release(linear_model([1.0, 10.0, 100.0, 1000.0, 10000.0], bias), version=version, **changes)

    def table(self, rows: Mapping[str, float | None], run: str = "r1", **changes: Any) -> dict[str, Any]:
        """A release of table `reliability`, keyed by tail number."""
        document = {
            "format": "archlab/table/v1",
            "model": "reliability",
            "version": "1",
            "run": run,
            "keys": ["tailnum"],
            "business_time": "2013-06-01T08:00:00Z",
            "rows": rows,
        }
        fields = {
            "id": f"reliability:1:{run}",
            "model": "reliability",
            "kind": "table",
            "decision_sha256": "ab" * 32,
            "source_sha256": "ab" * 32,
            "keys": ["tailnum"],
            "table_keys": ["tailnum"],
            "columns": [{"name": "flights", "source": "request"}],
        }
        return self.release(orjson.dumps(document), **{**fields, **changes})

    def release(self, data: bytes, *, model: str = "delay", version: str = "1", **changes: Any) -> dict[str, Any]:
        """A signed release of these bytes, which are put beside the feed."""
        digest = hashlib.sha256(data).hexdigest()
        blob = self.feed.parent / "blobs" / digest
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        entry = {
            "id": f"{model}:{version}",
            "model": model,
            "version": version,
            "team": "operations",
            "kind": "onnx",
            "pool": POOL,
            "sha256": digest,
            "path": f"blobs/{digest}",
            "size_bytes": len(data),
            "decision_id": "d-1",
            "decision_sha256": digest,
            "source_sha256": digest,
            "columns": [{"name": name, "source": source} for name, source in COLUMNS],
            "keys": list(KEYS),
            "table_keys": [],
            "weight": 100,
            "role": "champion",
            "created": "2013-06-01T00:00:00Z",
            "model_signature": signed_model({"model.onnx": changes.get("source_sha256", digest)}, self.model_key),
            **changes,
        }
        return {**entry, "signature": self.sign(entry)}

    def sign(self, entry: Mapping[str, Any]) -> str:
        """The signature of a release's statement."""
        free = {"weight", "created", "signature", "path", "size_bytes", "deprecated", "sunset", "model_signature"}
        covered = {name: value for name, value in entry.items() if name not in free}
        statement = json.dumps({"table_keys": [], **covered}, sort_keys=True, separators=(",", ":"))
        return base64.b64encode(self.key.sign(statement.encode())).decode()

    def publish(
        self,
        *releases: Mapping[str, Any],
        shares: Mapping[str, Any] | None = None,
        closed: Mapping[str, str] | None = None,
    ) -> int:
        """Writes the feed; returns its sequence."""
        self.sequence += 1
        document: dict[str, Any] = {"format": "archlab/release-feed/v1", "sequence": self.sequence}
        document |= (
            {"releases": releases} | ({"shares": shares} if shares else {}) | ({"closed": closed} if closed else {})
        )
        write_json(self.feed, document)
        return self.sequence

    def snapshot(self, sequence: int, **views: Mapping[str, Any]) -> None:
        """Writes views `{name: {join_keys, features, rows, materialized}}` and the manifest."""
        entries = []
        for name, view in views.items():
            document = {
                "format": "archlab/view-snapshot/v1",
                "view": name,
                "join_keys": view["join_keys"],
                "features": view["features"],
                "rows": view["rows"],
                "event_timestamps": dict.fromkeys(view["rows"], "2013-06-01T05:00:00Z"),
            }
            data = orjson.dumps(document)
            digest = hashlib.sha256(data).hexdigest()
            blob = self.snapshots.parent / "blobs" / f"{digest}.json"
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(data)
            entries.append(
                {
                    "view": name,
                    "sha256": digest,
                    "path": f"blobs/{digest}.json",
                    "rows": len(view["rows"]),
                    "materialized": view.get("materialized", "2013-06-01T06:00:00Z"),
                }
            )
        manifest = {
            "format": "archlab/feature-snapshot/v1",
            "sequence": sequence,
            "business_time": "2013-06-01T07:00:00Z",
            "views": entries,
        }
        write_json(self.snapshots, manifest)


WEATHER = {"join_keys": ["origin"], "features": ["wind", "temp"], "rows": {"JFK": [3.0, 2.0], "LGA": [None, 5.0]}}
CARRIER = {
    "join_keys": ["carrier"],
    "features": ["late"],
    "rows": {"AA": [0.5]},
    "materialized": "2013-06-01T04:00:00Z",
}


def wait_for(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Asks until the condition holds."""
    end = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"waited {deadline_s} s for {what}")
        os.sched_yield()


@dataclass
class RunningServer:
    """A uvicorn process and a client that talks to it."""

    process: subprocess.Popen[str]
    client: httpx.Client
    log: Path
    socket: Path | None = None
    address: str = ""

    def ready(self) -> bool:
        """Whether the server says that it is ready."""
        if self.process.poll() is not None:
            pytest.fail(f"the server ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
        if "running on" not in self.log.read_text():
            return False
        try:
            return self.client.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def rss_bytes(self) -> int:
        """Resident memory."""
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def metric(self, line: str) -> float:
        """The value of a metric by its name and labels as exposed; 0 when it isn't there."""
        for row in self.client.get("/metrics").text.splitlines():
            name, _, value = row.rpartition(" ")
            if name == line:
                return float(value)
        return 0.0

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Launcher:
    """Starts servers of one lab and ends them."""

    lab: Lab
    running: list[RunningServer] = field(default_factory=list)

    def start(
        self,
        app: str = "archlab_serving.app:app",
        *,
        port: bool = False,
        wait: bool = True,
        extra: Mapping[str, str] | None = None,
        http: str = "",
    ) -> RunningServer:
        """A server on a unix socket, or on a free port of the loopback interface; with the HTTP protocol of a lab's."""
        number = len(self.running)
        log = self.lab.root / f"server-{number}.log"
        socket = self.lab.root / f"s{number}.sock"
        listen = ["--host", "127.0.0.1", "--port", "0"] if port else ["--uds", str(socket)]
        http = http or ("httptools" if "bento" in app else "archlab_serving.http_protocol:Protocol")
        command = [sys.executable, "-m", "uvicorn", app, *listen, "--http", http, "--no-access-log"]
        environment = {**os.environ, **self.lab.environment(), **(extra or {})}
        with log.open("w") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, env=environment, text=True, cwd=self.lab.root
            )
        client = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://server", timeout=30)
        server = RunningServer(process, client, log, socket)
        self.running.append(server)
        if port:
            wait_for(lambda: "running on http://" in log.read_text() or process.poll() is not None, "the port")
            server.address = log.read_text().split("running on http://")[1].split()[0]
            server.client = httpx.Client(base_url=f"http://{server.address}", timeout=30)
        if wait:
            wait_for(server.ready, "the server")
        return server


@contextlib.contextmanager
def short_lab() -> Iterator[Lab]:
    """An empty lab in a short folder, for unix sockets' sake."""
    root = Path(tempfile.mkdtemp(prefix="srv-"))
    try:
        yield Lab(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def launcher(lab: Lab) -> Iterator[Launcher]:
    """Starts servers of the lab; ends them on the way out."""
    made = Launcher(lab)
    try:
        yield made
    finally:
        for server in made.running:
            server.stop()


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty lab."""
    with short_lab() as made:
        yield made


@pytest.fixture
def launch(lab: Lab) -> Iterator[Launcher]:
    """Starts servers of `lab`."""
    with launcher(lab) as made:
        yield made


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[Lab]:
    """An empty lab that a module's tests share."""
    with short_lab() as made:
        yield made


@pytest.fixture(scope="module")
def shared_launch(shared_lab: Lab) -> Iterator[Launcher]:
    """Starts servers of `shared_lab`."""
    with launcher(shared_lab) as made:
        yield made


def body(**tensors: Any) -> dict[str, Any]:
    """A JSON request: texts become BYTES, numbers FP32."""
    inputs = []
    for name, values in tensors.items():
        datatype = "BYTES" if isinstance(values[0], str) else "FP32"
        inputs.append({"name": name, "datatype": datatype, "shape": [len(values)], "data": values})
    return {"inputs": inputs}
