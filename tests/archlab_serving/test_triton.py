"""An unmodified `tritonclient[http]` against the server: binary tensors by default, JSON when asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.archlab_serving.conftest import CARRIER, WEATHER, Lab, Launcher
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def client(shared_lab: Lab, shared_launch: Launcher) -> Iterator[Any]:
    lab, launch = shared_lab, shared_launch
    lab.publish(lab.onnx("1"), lab.onnx("2", bias=7, role="challenger"), lab.table({"N1": 0.25}))
    lab.snapshot(3, weather=WEATHER, carrier=CARRIER)
    client = triton.InferenceServerClient(launch.start(port=True).address)
    yield client
    client.close()


def tensor(name: str, values: np.ndarray[Any, Any], datatype: str, *, binary: bool = True) -> Any:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values, binary_data=binary)
    return made


def test_health_and_metadata(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("delay")
    assert client.is_model_ready("delay", "2")
    assert not client.is_model_ready("gate")
    assert client.get_server_metadata()["name"] == "archlab-serving"
    assert client.get_model_metadata("delay")["platform"] == "onnxruntime_onnx"
    assert client.get_model_metadata("delay", "2")["versions"] == ["1", "2"]


@pytest.mark.parametrize("binary", [True, False])
def test_inference(client: Any, binary: bool) -> None:
    matrix = np.arange(10, dtype=np.float32).reshape(2, 5)
    outputs = [triton.InferRequestedOutput("prediction", binary_data=binary)]
    result = client.infer("delay", [tensor("features", matrix, "FP32", binary=binary)], outputs=outputs)
    expected = matrix @ np.array([[1], [10], [100], [1000], [10000]], dtype=np.float32)
    np.testing.assert_array_equal(result.as_numpy("prediction"), expected)


@pytest.mark.parametrize("binary", [True, False])
def test_keys_are_looked_up(client: Any, binary: bool) -> None:
    tensors = [
        tensor("origin", np.array(["JFK"], dtype=np.object_), "BYTES", binary=binary),
        tensor("carrier", np.array(["AA"], dtype=np.object_), "BYTES"),
        tensor("distance", np.array([1.0], dtype=np.float64), "FP64", binary=binary),
        tensor("hour", np.array([2], dtype=np.int64), "INT64"),
    ]
    result = client.infer("delay", tensors, request_id="abc")
    assert result.as_numpy("prediction").tolist() == [[8221.0]]
    assert result.get_response()["id"] == "abc"
    assert result.get_response()["parameters"]["snapshot"] == 3


def test_a_version_and_compression(client: Any) -> None:
    matrix = [tensor("features", np.zeros((1, 5), dtype=np.float32), "FP32")]
    for compression in ("gzip", "deflate"):
        result = client.infer("delay", matrix, model_version="2", request_compression_algorithm=compression)
        assert result.as_numpy("prediction").tolist() == [[7.0]]


def test_nan_goes_in_and_comes_out(client: Any) -> None:
    matrix = np.full((1, 5), np.nan, dtype=np.float32)
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput("prediction", binary_data=binary)]
        result = client.infer("delay", [tensor("features", matrix, "FP32")], outputs=outputs)
        assert np.isnan(result.as_numpy("prediction")).all()


def test_a_table(client: Any) -> None:
    result = client.infer("reliability", [tensor("tailnum", np.array(["N1"], dtype=np.object_), "BYTES")])
    assert result.as_numpy("prediction").tolist() == [[0.25]]


def test_errors_reach_the_client(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="tensor 'features' has shape") as caught:
        client.infer("delay", [tensor("features", np.zeros((1, 4), dtype=np.float32), "FP32")])
    assert caught.value.status() == "400"
    with pytest.raises(InferenceServerException, match="'gate' is not served here"):
        client.infer("gate", [tensor("features", np.zeros((1, 4), dtype=np.float32), "FP32")])
