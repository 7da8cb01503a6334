"""Ways round the gate with what a version's files are: pickles, signatures, bills of materials, graphs."""

from __future__ import annotations

import json
import os
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from archlab.identity import create_keys
from archlab.settings import LabFolder
from archlab.signing import sign
from model_folders import GRAPH, changed_bill, fill, graph
from red_team import TAG, Answer, Target, denied, registers


def offers(
    target: Target, content: bytes = GRAPH, spoil: Callable[[Path], object] | None = None, **more: Any
) -> Answer:
    """A folder as the pipeline makes it, spoilt after it was signed, registered by its team's developer."""
    key = more.pop("key", target.registry.folder.keys / "signing.pem")
    folder = fill(Path(target.client.files) / uuid.uuid4().hex, content, key=key, **more)
    if spoil:
        spoil(folder)
    target.client.become("ada")
    target.client.mlflow.log_artifacts(target.run, str(folder), folder.name)
    return registers(target, f"mlflow-artifacts:/{target.place}/{folder.name}")


def signed_by_a_stranger(folder: Path) -> None:
    other = LabFolder(folder.parent / uuid.uuid4().hex)
    create_keys(other)
    sign(folder, other.keys / "signing.pem")


def signed_with_the_name_of_the_lab(folder: Path) -> None:
    """A stranger's signature that says it is the lab's."""
    name = json.loads((folder / "model.sig").read_bytes())["verificationMaterial"]
    signed_by_a_stranger(folder)
    bundle = json.loads((folder / "model.sig").read_bytes())
    (folder / "model.sig").write_text(json.dumps({**bundle, "verificationMaterial": name}))


def signature_of_another(target: Target) -> Answer:
    other = fill(
        Path(target.client.files) / uuid.uuid4().hex, graph(3.0), key=target.registry.folder.keys / "signing.pem"
    )
    return offers(target, spoil=lambda f: (f / "model.sig").write_bytes((other / "model.sig").read_bytes()))


def promotes(target: Target, **more: Any) -> Answer:
    """A version registered with all that it needs but what `more` takes away, approved, promoted."""
    version, _ = target.client.register(target.name, auc=0.9, **more)
    grace = {"name": target.name, "version": version, "key": "archlab.approved_by", "value": "grace"}
    assert target.send(TAG, grace, user="grace")[0] == 200
    return target.send(body=target.promotion(version=version))


def overwrites(target: Target, name: str, content: bytes) -> Answer:
    """A file of the registered version changes behind everybody's back, on the registry's own disk."""
    place = target.registry.folder.registry / "artifacts" / target.place / "model" / name
    assert place.exists()
    assert target.tag("archlab.approved_by", "grace", user="grace")[0] == 200
    place.write_bytes(content)
    return target.send()


def outside_tensor(location: str) -> bytes:
    model = onnx.load_from_string(GRAPH)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return bytes(model.SerializeToString())


def tensor_bomb() -> bytes:
    model = onnx.load_from_string(GRAPH)
    model.graph.initializer[0].dims[0] = 1 << 38
    return bytes(model.SerializeToString())


def custom_operator() -> bytes:
    model = onnx.load_from_string(GRAPH)
    model.graph.node[0].domain = "com.example"
    return bytes(model.SerializeToString())


class Payload:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return os.abort, ()


def logs_pickle(target: Target) -> Answer:
    file = Path(target.client.files) / "weights.txt"
    file.write_bytes(pickle.dumps({"w": 1}, protocol=0))
    target.client.become("ada")
    target.client.mlflow.log_artifact(target.run, str(file), "model")
    return registers(target, f"mlflow-artifacts:/{target.place}/model")


RULED: dict[str, Callable[[Target], Answer]] = {
    # files
    "file in a bucket": lambda t: registers(t, "s3://bucket/model"),
    "file of the host": lambda t: registers(t, "file:///etc"),
    "out of the store": lambda t: registers(t, "mlflow-artifacts:/../../keys"),
    "the whole store": lambda t: registers(t, "mlflow-artifacts:/"),
    "another host's store": lambda t: registers(t, "mlflow-artifacts://elsewhere:5000/1/2"),
    "a pickle by another name": logs_pickle,
    "a pickle with a payload": lambda t: offers(t, pickle.dumps(Payload())),
    "a payload beside the model": lambda t: offers(t, files={"preprocess.bin": pickle.dumps(Payload(), protocol=4)}),
    # signatures
    "unsigned": lambda t: offers(t, key=None),
    "signed by a stranger": lambda t: offers(t, spoil=signed_by_a_stranger),
    "a stranger under the lab's name": lambda t: offers(t, spoil=signed_with_the_name_of_the_lab),
    "another model's signature": signature_of_another,
    "tampered after signing": lambda t: offers(t, spoil=lambda f: (f / "model.onnx").write_bytes(graph(9.0))),
    "a file added after signing": lambda t: offers(t, spoil=lambda f: (f / "notes.txt").write_text("harmless")),
    "no signature but its name": lambda t: offers(t, spoil=lambda f: (f / "model.sig").write_text("signed: yes")),
    "tampered on the disk": lambda t: overwrites(t, "model.onnx", graph(9.0)),
    "signature gone from the disk": lambda t: overwrites(t, "model.sig", b""),
    # bills of materials
    "no bill of materials": lambda t: promotes(t, bill=b""),
    "a bill of another model": lambda t: promotes(t, bill=changed_bill()),
    "a bill without a model card": lambda t: promotes(t, bill=changed_bill(modelCard={})),
    "other data than the bill says": lambda t: promotes(t, tags={"archlab.data_digest": "e" * 64}),
    "bill changed on the disk": lambda t: overwrites(t, "bom.cdx.json", b"{}"),
    "bill's digest tag": lambda t: t.tag("archlab.bom_sha256", "a" * 64),
    # graphs
    "no graph": lambda t: offers(t, b"an onnx file"),
    "tensor in another file": lambda t: offers(t, outside_tensor("weights.txt"), files={"weights.txt": b"0" * 100}),
    "tensor of the host": lambda t: offers(t, outside_tensor("../../../../keys/jwt.pem")),
    "tensor of a terabyte": lambda t: offers(t, tensor_bomb()),
    "custom operator": lambda t: offers(t, custom_operator()),
}


@pytest.mark.parametrize("way", RULED)
def test_no_file_opens_a_gate(target: Target, way: str) -> None:
    denied(target, RULED[way](target))
