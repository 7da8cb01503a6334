"""Files that must not be served: refused with a reason and counted, while the last good version keeps serving."""

from __future__ import annotations

import itertools
import json
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from onnx import TensorProto, helper
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, linear_model
from tests.archlab_serving.signatures import signed_model

from keep_asking import ROWS, ZEROS, asking
from onnx_models import model, trees, weighty

COLUMNS: dict[str, Any] = {"columns": [{"name": name, "source": "request"} for name in "abcde"], "keys": []}
LIMIT_BYTES = 1 << 20
_VERSIONS = itertools.count(1)

Entry = dict[str, Any]
Spoil = Callable[[Lab, str], Entry]


def publishable(lab: Lab, version: str, data: bytes | None = None, **changes: Any) -> Entry:
    """A signed release; by default of a good file that answers its version."""
    data = linear_model([1.0] * 5, float(version)) if data is None else data
    return lab.release(data, version=version, **{**COLUMNS, **changes})


def rewritten(lab: Lab, entry: Entry, change: Callable[[bytes], bytes]) -> Entry:
    """The file changes after it was signed."""
    blob = lab.feed.parent / entry["path"]
    blob.write_bytes(change(blob.read_bytes()))
    return entry


def flipped(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]


def external_data() -> bytes:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[5, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../keys/release.pub.pem")
    return model([helper.make_node("MatMul", ["features", "w"], ["prediction"])], [tensor])


def unknown_operator(domain: str = "com.example") -> bytes:
    document = onnx.load_from_string(linear_model([1.0] * 5))
    document.graph.node[0].domain, document.graph.node[0].op_type = domain, "Shell"
    if domain:
        document.opset_import.add(domain=domain, version=1)
    return bytes(document.SerializeToString())


def tensor_bomb() -> bytes:
    """Twenty bytes of weights that say they are of a terabyte."""
    document = onnx.load_from_string(linear_model([1.0] * 5))
    document.graph.initializer[0].dims[0] = 1 << 38
    return bytes(document.SerializeToString())


def stranger(lab: Lab, version: str) -> Entry:
    """A good release of a good file, whose model somebody signed whom nobody knows."""
    entry = publishable(lab, version)
    key = ec.generate_private_key(ec.SECP256R1())
    return {**entry, "model_signature": signed_model({"model.onnx": entry["sha256"]}, key)}


def with_other_signature(entry: Entry) -> str:
    bundle = json.loads(entry["model_signature"])
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = "AAAA"
    return json.dumps(bundle)


class Payload:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return os.abort, ()


def one_row_whatever_comes() -> bytes:
    """Adds up the batch."""
    return model([helper.make_node("ReduceSum", ["features"], ["prediction"], keepdims=1)], [])


def fails_when_run() -> bytes:
    """The shapes agree on paper and not when it is run."""
    shape = helper.make_node("Constant", [], ["s"], value_ints=[7, 11])
    return model([shape, helper.make_node("Reshape", ["features", "s"], ["prediction"])], [])


def tampered_tree(lab: Lab, version: str) -> Entry:
    """A tree whose branches point outside it: to be refused, never followed."""
    document = onnx.load_from_string(trees(2, 3))
    for attribute in document.graph.node[0].attribute:
        if attribute.name == "nodes_truenodeids":
            attribute.ints[0] = 1 << 40
    return publishable(lab, version, bytes(document.SerializeToString()))


SPOILT: dict[str, tuple[Spoil, str, str]] = {
    "unsigned": (lambda lab, v: {**publishable(lab, v), "signature": ""}, "signature", "does not verify"),
    "another model's signature": (
        lambda lab, v: {**publishable(lab, v), "signature": publishable(lab, v, model="other")["signature"]},
        "signature",
        "does not verify",
    ),
    "never allowed": (lambda lab, v: publishable(lab, v, decision_sha256="ab" * 32), "decision", "decision d-1 allows"),
    "one bit flipped": (lambda lab, v: rewritten(lab, publishable(lab, v), flipped), "digest", "SHA-256 is"),
    "cut short on disk": (lambda lab, v: rewritten(lab, publishable(lab, v), lambda d: d[:50]), "digest", "SHA-256 is"),
    "cut short and signed": (
        lambda lab, v: publishable(lab, v, linear_model([1.0] * 5)[:-30]),
        "contract",
        "ONNX Runtime refuses",
    ),
    "empty": (lambda lab, v: publishable(lab, v, b""), "contract", "ONNX Runtime refuses"),
    "too large": (lambda lab, v: publishable(lab, v, weighty(2)), "size", f"MAX_MODEL_BYTES allows {LIMIT_BYTES}"),
    "other columns": (lambda lab, v: publishable(lab, v, linear_model([1.0] * 4)), "contract", "takes 4 columns"),
    "external data": (lambda lab, v: publishable(lab, v, external_data()), "external-data", "in other files"),
    "unknown operator": (lambda lab, v: publishable(lab, v, unknown_operator()), "operators", "com.example"),
    "unknown operator of the standard": (
        lambda lab, v: publishable(lab, v, unknown_operator("")),
        "contract",
        "Shell",
    ),
    "a tensor without its bytes": (lambda lab, v: publishable(lab, v, tensor_bomb()), "oversized", "declares"),
    "model unsigned": (lambda lab, v: publishable(lab, v, model_signature=""), "model-unsigned", "is not signed"),
    "model signed by a stranger": (stranger, "model-key", "not trusted here"),
    "another model's own signature": (
        lambda lab, v: publishable(lab, v, model_signature=signed_model({"model.onnx": "ab" * 32}, lab.model_key)),
        "model-signature",
        "the signature is about",
    ),
    "model's signature changed": (
        lambda lab, v: publishable(lab, v, model_signature=with_other_signature(publishable(lab, v))),
        "model-signature",
        "did not sign this",
    ),
    "no signature of a model": (
        lambda lab, v: publishable(lab, v, model_signature='{"mediaType": "text/plain"}'),
        "model-signature",
        "not a signature",
    ),
    "a pickle with a payload": (
        lambda lab, v: publishable(lab, v, pickle.dumps(Payload())),
        "contract",
        "ONNX Runtime refuses",
    ),
    "sums the batch": (
        lambda lab, v: publishable(lab, v, one_row_whatever_comes()),
        "contract",
        "gave a prediction of",
    ),
    "fails when run": (lambda lab, v: publishable(lab, v, fails_when_run()), "contract", "ONNX Runtime refuses"),
    "tampered tree": (tampered_tree, "contract", "ONNX Runtime refuses"),
    "outside the folder": (
        lambda lab, v: {**publishable(lab, v), "path": "../keys/release.pub.pem"},
        "path",
        "outside",
    ),
}


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> RunningServer:
    shared_lab.publish(publishable(shared_lab, "0"))
    return shared_launch.start(extra={"ARCHLAB_SERVING_MAX_MODEL_BYTES": str(LIMIT_BYTES)})


def answer(server: RunningServer, sequence: int) -> tuple[str, list[float]]:
    """The champion's version and its answer once the feed is in force."""
    headers = {"x-archlab-min-feed": str(sequence)}
    reply = server.client.post("/v2/models/delay/infer", json=ZEROS, headers=headers)
    assert reply.status_code == 200, reply.text
    return reply.json()["model_version"], reply.json()["outputs"][0]["data"]


def good(version: str) -> tuple[str, list[float]]:
    return version, [float(version)] * ROWS


def ask_plain(server: RunningServer, sequence: int) -> str:
    """The version of the tensor model that answers."""
    headers = {"x-archlab-min-feed": str(sequence)}
    reply = server.client.post("/v2/models/plain/infer", json=ZEROS, headers=headers)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["model_version"])


@pytest.mark.parametrize("fault", SPOILT)
def test_a_bad_release_is_refused_and_the_last_good_one_serves(
    server: RunningServer, shared_lab: Lab, fault: str
) -> None:
    spoil, reason, message = SPOILT[fault]
    last, bad = (str(next(_VERSIONS)) for _ in range(2))
    assert answer(server, shared_lab.publish(publishable(shared_lab, last))) == good(last)
    counter = f'archlab_release_refused_total{{model="delay",reason="{reason}"}}'
    before = server.metric(counter)
    assert answer(server, shared_lab.publish(spoil(shared_lab, bad))) == good(last)
    assert server.metric(counter) == before + 1
    (line,) = (
        line for line in server.log.read_text().splitlines() if f"release delay:{bad} refused ({reason})" in line
    )
    assert message in line
    index = server.client.post("/v2/repository/index", headers={"x-archlab-scope": "operator"}).json()
    assert {entry["version"]: entry["state"] for entry in index} == {last: "READY", bad: "UNAVAILABLE"}
    refused = server.client.post(f"/v2/models/delay/versions/{bad}/infer", json=ZEROS)
    assert refused.status_code == 503
    assert message in refused.json()["error"]


def test_a_version_with_other_inputs_is_refused(server: RunningServer, shared_lab: Lab) -> None:
    plain: dict[str, Any] = {"model": "plain", "columns": [], "keys": []}
    first = shared_lab.publish(shared_lab.release(linear_model([1.0] * 5), version="1", **plain))
    assert ask_plain(server, first) == "1"
    document = onnx.load_from_string(linear_model([1.0] * 5))
    document.graph.input[0].name = document.graph.node[0].input[0] = "properties"
    sequence = shared_lab.publish(shared_lab.release(bytes(document.SerializeToString()), version="2", **plain))
    assert ask_plain(server, sequence) == "1"
    assert server.metric('archlab_release_refused_total{model="plain",reason="inputs"}') == 1
    assert "takes and answers properties FP32 [-1, 5]" in server.log.read_text()


@pytest.mark.slow
def test_fifty_bad_releases_fail_no_request_and_leave_no_memory(lab: Lab, launch: Launcher) -> None:
    """Every file of 3 MB is read, hashed, given to ONNX Runtime and refused there."""
    lab.publish(publishable(lab, "1"))
    server = launch.start()
    assert server.socket is not None
    noise = np.random.default_rng(0).bytes(3 << 20)
    settled = 0
    with asking("delay", server.socket, rest=2) as seen:
        for version in range(2, 52):
            assert answer(server, lab.publish(publishable(lab, str(version), noise + bytes([version])))) == good("1")
            settled = server.rss_bytes() if version == 15 else settled
    assert set(seen.answers) == {"REST"}
    assert server.metric('archlab_release_refused_total{model="delay",reason="contract"}') == 50
    assert server.rss_bytes() - settled < 16 << 20
