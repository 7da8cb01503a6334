"""Specification: HTTP/REST, Inference: Inference Request and Inference Response JSON Objects, and their tensors."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.archlab_serving.conformance.conftest import (
    DATATYPE_NAMES,
    EVERY_TYPE,
    SAMPLES,
    Array,
    equal,
    error,
    infer,
    request,
    same,
)
from tests.archlab_serving.conftest import RunningServer

X = Array("x", "FP32", [1, 2], [1.5, 2.5])
EVERY = tuple(Array(name.lower(), name, [4], SAMPLES[name]) for name in DATATYPE_NAMES)


class TestRequestPath:
    """`POST v2/models/${MODEL_NAME}[/versions/${MODEL_VERSION}]/infer`."""

    @pytest.mark.parametrize(
        ("path", "version", "bias"), [("", "1", 0), ("/versions/1", "1", 0), ("/versions/2", "2", 7)]
    )
    def test_a_version_may_be_named(self, server: RunningServer, path: str, version: str, bias: int) -> None:
        content, _ = request(Array("features", "FP32", [1, 5], [0.0] * 5))
        reply = infer(server, f"delay{path}", content)
        assert (reply.document["model_version"], reply.values["prediction"]) == (version, [bias])


class TestInferenceRequest:
    """`$inference_request`: `id`, `parameters`, `inputs`, `outputs`."""

    def test_an_id_is_optional_and_comes_back(self, server: RunningServer) -> None:
        assert infer(server, same("FP32"), *request(X, id="a-1")).document["id"] == "a-1"
        assert "id" not in infer(server, same("FP32"), *request(X)).document

    @pytest.mark.parametrize("identity", [1, ["a"], {}, True])
    def test_an_id_is_a_text(self, server: RunningServer, identity: Any) -> None:
        assert error(server, same("FP32"), *request(X, id=identity)) == (400, "'id' must be a text")

    @pytest.mark.parametrize("binary", [False, True])
    def test_several_inputs_of_every_datatype(self, server: RunningServer, binary: bool) -> None:
        reply = infer(server, EVERY_TYPE, *request(*EVERY, binary=binary))
        for array in EVERY:
            assert equal(array.datatype, reply.values[f"{array.name}_out"], array.values), array.name

    def test_inputs_come_in_any_order(self, server: RunningServer) -> None:
        reply = infer(server, EVERY_TYPE, *request(*reversed(EVERY)))
        assert reply.values["int64_out"] == SAMPLES["INT64"]

    @pytest.mark.parametrize("inputs", [None, [], {}, "x", 1, [1], [{}], [{"name": 1}], [None]])
    def test_inputs_are_a_list_of_tensors(self, server: RunningServer, inputs: Any) -> None:
        assert error(server, same("FP32"), orjson.dumps({"inputs": inputs}))[0] == 400

    def test_all_outputs_without_outputs(self, server: RunningServer) -> None:
        reply = infer(server, EVERY_TYPE, *request(*EVERY))
        assert list(reply.values) == [f"{array.name}_out" for array in EVERY]

    def test_the_outputs_that_are_asked_for_in_their_order(self, server: RunningServer) -> None:
        asked = [{"name": "bytes_out"}, {"name": "bool_out"}]
        assert list(infer(server, EVERY_TYPE, *request(*EVERY, outputs=asked)).values) == ["bytes_out", "bool_out"]

    def test_no_outputs_in_the_list_are_all_outputs(self, server: RunningServer) -> None:
        assert list(infer(server, same("FP32"), *request(X, outputs=[])).values) == ["x_out"]

    @pytest.mark.parametrize(
        "outputs",
        [{}, "x_out", ["x_out"], [{}], [{"name": None}], [{"name": "x_out"}, {"name": "x_out"}], [{"name": "y"}]],
    )
    def test_outputs_name_the_models_outputs_once(self, server: RunningServer, outputs: Any) -> None:
        assert error(server, same("FP32"), *request(X, outputs=outputs))[0] == 400

    def test_unknown_fields_are_passed_over(self, server: RunningServer) -> None:
        assert infer(server, same("FP32"), *request(X, colour="red")).values["x_out"] == X.values


class TestRequestInput:
    """`$request_input`: `name`, `shape`, `datatype`, `parameters`, `data`."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_the_datatype_must_be_the_models(self, server: RunningServer, datatype: str) -> None:
        other = "INT8" if datatype != "INT8" else "BOOL"
        status, message = error(server, same(datatype), *request(Array("x", other, [2, 2], SAMPLES[other])))
        assert (status, message) == (400, f"tensor 'x' has datatype {other}; {datatype} is needed")

    @pytest.mark.parametrize("datatype", ["BF16", "fp32", "STRING", "", None, 32, ["FP32"]])
    def test_the_datatype_must_be_one(self, server: RunningServer, datatype: Any) -> None:
        status, message = error(server, same("FP32"), *request(X._replace(datatype=datatype)))
        assert (status, message.split(";")[0]) == (400, f"tensor 'x' has datatype {datatype!r}")

    @pytest.mark.parametrize("shape", [[1, 2], [2, 2], [0, 2]])
    def test_a_variable_extent_may_be_any(self, server: RunningServer, shape: list[int]) -> None:
        values = SAMPLES["INT64"][: shape[0] * 2]
        reply = infer(server, same("INT64"), *request(Array("x", "INT64", shape, values)))
        assert (reply.document["outputs"][0]["shape"], reply.values["x_out"]) == (shape, values)

    def test_a_scalar_has_the_shape_of_none(self, server: RunningServer) -> None:
        reply = infer(server, "scalar", *request(Array("x", "FP32", [], [2.5])))
        assert (reply.document["outputs"][0]["shape"], reply.values["x_out"]) == ([], [2.5])

    @pytest.mark.parametrize(
        "shape",
        [None, [], [2], [2, 1], [1, 2, 1], [-1, 2], [1.0, 2], ["1", 2], [True, 2], [1 << 62, 2], {}, [0, 1 << 62]],
    )
    def test_other_shapes_are_refused(self, server: RunningServer, shape: Any) -> None:
        assert error(server, same("FP32"), *request(X._replace(shape=shape)))[0] == 400

    def test_a_missing_an_unknown_and_a_repeated_input(self, server: RunningServer) -> None:
        other = X._replace(name="y")
        assert error(server, same("FP32"), *request(X, other))[1].startswith("tensor 'y' is no input of this model")
        assert error(server, same("FP32"), *request(X, X)) == (400, "tensor 'x' is given twice")
        assert error(server, EVERY_TYPE, *request(*EVERY[1:])) == (400, "tensor 'bool' is missing")


class TestInferenceResponse:
    """`$inference_response`: `model_name`, `model_version`, `id`, `parameters`, `outputs` (`$response_output`)."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_its_fields(self, server: RunningServer, datatype: str) -> None:
        reply = infer(server, same(datatype), *request(Array("x", datatype, [2, 2], SAMPLES[datatype]), id="a"))
        assert set(reply.document) == {"model_name", "model_version", "id", "parameters", "outputs"}
        assert (reply.document["model_name"], reply.document["model_version"]) == (same(datatype), "1")
        (output,) = reply.document["outputs"]
        assert {key: output[key] for key in ("name", "shape", "datatype")} == {
            "name": "x_out",
            "shape": [2, 2],
            "datatype": datatype,
        }
        assert reply.headers["content-type"] == "application/json"

    def test_its_parameters_say_what_answered(self, server: RunningServer) -> None:
        parameters = infer(server, same("FP32"), *request(X)).document["parameters"]
        assert parameters == {"model_version": "1", "release": "same-fp32:1", "snapshot": parameters["snapshot"]}
