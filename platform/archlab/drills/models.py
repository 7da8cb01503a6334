"""A model in both regions: real inference servers, each with a signed release feed and model files of its own.

The model is a function that callers know the answers of: what is right needs no label, and no second model.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archlab import identity, signing
from archlab.drills.answers import is_close, value_of
from archlab.files import write_atomic, write_model
from archlab.settings import LabFolder
from archlab.spec.drill import Question
from archlab.spec.release import Column, Release, ReleaseFeed, ReleaseKind

MODEL, POOL, TEAM = "block-time", "online", "operations"
READY = f"/v2/models/{MODEL}/ready"
ASK = f"/v2/models/{MODEL}/infer"
COLUMNS = ("distance", "wind")
RIGHT, WRONG = (0.125, 2.0), (0.25, 2.0)
"""Weights of the model, and of the one that answers as quickly and is wrong."""
BIAS = 30.0
ASKED = ((100.0, 0.0), (400.0, 4.0), (1_000.0, -3.0), (2_500.0, 10.0))
TIMEOUT_S = 1.0


@dataclass(slots=True)
class Region:
    """The files of one region's server."""

    name: str
    folder: Path
    socket: Path

    @property
    def feed(self) -> Path:
        """What the server is to load."""
        return self.folder / "feed.json"

    def blob(self, sha256: str) -> Path:
        """A model's file."""
        return self.folder / "blobs" / sha256


@dataclass(slots=True)
class Models:
    """The model's releases in both regions."""

    lab: LabFolder
    regions: dict[str, Region]
    released: list[Release] = field(default_factory=list)
    """Oldest first; the last one is served."""
    _sequence: int = 0

    @classmethod
    def lay_out(cls, lab: LabFolder, regions: Sequence[str]) -> Models:
        """Names and places; nothing is started."""
        return cls(lab, {n: Region(n, lab.root / f"models-{n}", lab.socket(f"models-{n}")) for n in regions})

    def environment(self, region: str) -> dict[str, str]:
        """What the region's server is told."""
        return {
            "ARCHLAB_SERVING_UNIT": f"models-{region}",
            "ARCHLAB_SERVING_REPLICA": "0",
            "ARCHLAB_SERVING_POOL": POOL,
            "ARCHLAB_SERVING_FEED": str(self.regions[region].feed),
            "ARCHLAB_SERVING_PUBLIC_KEY": str(self.lab.keys / "release.pub.pem"),
            "ARCHLAB_SERVING_TRUSTED_KEYS": str(self.lab.keys / "trusted.pem"),
        }

    def release(self, weights: Sequence[float]) -> Release:
        """A new version, signed by whoever trained it and by the platform, for both regions: the next one served."""
        identity.create_keys(self.lab)
        content, version = onnx(weights), str(len(self.released) + 1)
        sha256 = hashlib.sha256(content).hexdigest()
        for region in self.regions.values():
            write_atomic(region.blob(sha256), content)
        made = Release(
            id=f"{MODEL}:{version}",
            model=MODEL,
            version=version,
            team=TEAM,
            kind=ReleaseKind.ONNX,
            pool=POOL,
            sha256=sha256,
            path=f"blobs/{sha256}",
            size_bytes=len(content),
            decision_id=f"drill-{version}",
            decision_sha256=sha256,
            source_sha256=sha256,
            columns=tuple(Column(name=name, source="request") for name in COLUMNS),
            keys=(),
            created=datetime.now(UTC),
            signature="",
            model_signature=self._signed_by_trainer(content),
        )
        self.released.append(made.model_copy(update={"signature": self._signed(made)}))
        self._publish()
        return self.released[-1]

    def roll_back(self) -> Release:
        """The version before is served again; the first one stays."""
        if len(self.released) > 1:
            self.released.pop()
        self._publish()
        return self.released[-1]

    def damage(self, region: str) -> Path:
        """The served version's file in one region loses a bit."""
        path = self.regions[region].blob(self.released[-1].sha256)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        write_atomic(path, bytes(content))
        return path

    def mend(self) -> None:
        """Every region has the file of the served version again, as another region has it."""
        sha256 = self.released[-1].sha256
        blobs = [region.blob(sha256) for region in self.regions.values()]
        whole = next(b for b in blobs if b.exists() and hashlib.sha256(b.read_bytes()).hexdigest() == sha256)
        for blob in blobs:
            write_atomic(blob, whole.read_bytes())
        self._publish()

    def _publish(self) -> None:
        self._sequence += 1
        feed = ReleaseFeed(sequence=self._sequence, releases=(self.released[-1],))
        for region in self.regions.values():
            write_model(region.feed, feed)

    def _signed(self, release: Release) -> str:
        key = serialization.load_pem_private_key((self.lab.keys / "release.pem").read_bytes(), password=None)
        assert isinstance(key, Ed25519PrivateKey)
        statement = json.dumps(release.statement(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return base64.b64encode(key.sign(statement.encode())).decode()

    def _signed_by_trainer(self, content: bytes) -> str:
        with tempfile.TemporaryDirectory(prefix="archlab-model-") as folder:
            (Path(folder) / "model.onnx").write_bytes(content)
            return signing.sign(Path(folder), self.lab.keys / "signing.pem").read_text()


def onnx(weights: Sequence[float]) -> bytes:
    """`prediction = features @ weights + BIAS`, in the form in which servers take models."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    tensors = [
        numpy_helper.from_array(np.array(weights, dtype=np.float32).reshape(-1, 1), "w"),
        numpy_helper.from_array(np.array([BIAS], dtype=np.float32), "b"),
    ]
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["prediction"]),
    ]
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, len(weights)])
    prediction = helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [None, 1])
    graph = helper.make_graph(nodes, MODEL, [features], [prediction], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def questions() -> tuple[Question, ...]:
    """What callers ask, and the answers that they know."""
    return tuple(
        Question(
            path=ASK,
            body={
                "inputs": [
                    {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
                    for name, value in zip(COLUMNS, asked, strict=True)
                ]
            },
            answer=BIAS + sum(weight * value for weight, value in zip(RIGHT, asked, strict=True)),
        )
        for asked in ASKED
    )


def ask(base: str, questions: Sequence[Question], timeout_s: float) -> Iterator[float | None]:
    """What the gateway answers to each; None without an answer."""
    with httpx.Client(base_url=base, timeout=timeout_s) as client:
        for question in questions:
            try:
                answer = client.post(question.path, json=question.body)
            except httpx.HTTPError:
                yield None
            else:
                yield value_of(answer.json()) if answer.status_code == httpx.codes.OK else None


def right(base: str, timeout_s: float) -> bool:
    """Whether every answer of the gateway is right."""
    asked = questions()
    said = ask(base, asked, timeout_s)
    return all(value is not None and is_close(value, question) for value, question in zip(said, asked, strict=True))


def comes(base: str, timeout_s: float) -> bool:
    """Whether the gateway answers, whatever it says."""
    return None not in ask(base, questions()[:1], timeout_s)


def serves(region: Region) -> bool:
    """Whether a region's server serves the model."""
    transport = httpx.HTTPTransport(uds=str(region.socket))
    try:
        with httpx.Client(transport=transport, base_url="http://models", timeout=TIMEOUT_S) as client:
            return client.get(READY).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
