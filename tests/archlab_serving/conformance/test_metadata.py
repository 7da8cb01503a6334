"""Specification: HTTP/REST, Server Metadata and Model Metadata."""

from __future__ import annotations

import pytest
from tests.archlab_serving.conformance.conftest import DATATYPE_NAMES, EVERY_TYPE, same
from tests.archlab_serving.conftest import RunningServer


class TestServerMetadata:
    """`GET v2`: `$metadata_server_response`, and `$metadata_server_error_response`."""

    def test_name_version_and_extensions(self, server: RunningServer) -> None:
        about = server.client.get("/v2").json()
        assert sorted(about) == ["extensions", "name", "version"]
        assert (about["name"], type(about["version"])) == ("archlab-serving", str)
        assert about["extensions"] == ["binary_tensor_data", "model_repository"]


class TestModelMetadata:
    """`GET v2/models/${MODEL_NAME}[/versions/${MODEL_VERSION}]`: `$metadata_model_response`."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_inputs_and_outputs_of_every_datatype(self, server: RunningServer, datatype: str) -> None:
        about = server.client.get(f"/v2/models/{same(datatype)}").raise_for_status().json()
        assert about["inputs"] == [{"name": "x", "datatype": datatype, "shape": [-1, 2]}]
        assert about["outputs"] == [{"name": "x_out", "datatype": datatype, "shape": [-1, 2]}]

    def test_name_versions_and_platform(self, server: RunningServer) -> None:
        about = server.client.get("/v2/models/delay").json()
        assert {key: about[key] for key in ("name", "versions", "platform")} == {
            "name": "delay",
            "versions": ["1", "2"],
            "platform": "onnxruntime_onnx",
        }

    def test_a_version_has_its_own(self, server: RunningServer) -> None:
        about = server.client.get("/v2/models/delay/versions/2").json()
        assert (about["name"], about["parameters"]["version"]) == ("delay", "2")

    @pytest.mark.parametrize(
        ("model", "shape"), [("scalar", []), ("free", [-1, -1]), ("fixed", [2, 2]), (EVERY_TYPE, [-1])]
    )
    def test_an_extent_that_may_be_any_is_minus_1(self, server: RunningServer, model: str, shape: list[int]) -> None:
        about = server.client.get(f"/v2/models/{model}").json()
        assert {tuple(tensor["shape"]) for tensor in about["inputs"] + about["outputs"]} == {tuple(shape)}

    @pytest.mark.parametrize("path", ["gate", "delay/versions/9"])
    def test_an_unknown_model_is_an_error(self, server: RunningServer, path: str) -> None:
        answer = server.client.get(f"/v2/models/{path}")
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
