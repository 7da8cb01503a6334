"""Specification: HTTP/REST, error responses: a status other than 200 and `{"error": message}`."""

from __future__ import annotations

import gzip

import orjson
import pytest
from tests.archlab_serving.conformance.conftest import Array, error, request, same
from tests.archlab_serving.conftest import RunningServer

X = Array("x", "FP32", [1, 2], [1.5, 2.5])


class TestInferenceErrors:
    """`$inference_error_response`."""

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"text"',
            b"1",
            b"{}",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"inputs":' * 2000,
            b'{"inputs": [NaN]}',
            b'{"inputs": [{"name": "\\ud800"}]}',
        ],
    )
    def test_a_body_that_is_no_request_is_400(self, server: RunningServer, content: bytes) -> None:
        assert error(server, same("FP32"), content)[0] == 400

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            ("gate", "model 'gate' is not served here"),
            ("delay/versions/9", "model 'delay' has no version '9' here; loaded are 1, 2"),
            ("delay/versions/9/versions/1", "has no version '9/versions/1'"),
        ],
    )
    def test_an_unknown_model_or_version_is_404(self, server: RunningServer, model: str, words: str) -> None:
        status, message = error(server, model, request(X)[0])
        assert (status, words in message) == (404, True), message

    def test_a_tensor_that_contradicts_the_model_is_400_and_named(self, server: RunningServer) -> None:
        status, message = error(server, same("FP32"), *request(X._replace(shape=[2, 1])))
        assert (status, message) == (400, "tensor 'x' has shape [2, 1]; [-1, 2] is needed")

    def test_a_column_that_is_a_scalar_is_400(self, server: RunningServer) -> None:
        status, message = error(server, "delay", *request(Array("distance", "FP32", [], [1.0])))
        assert (status, message) == (400, "tensor 'distance' has shape []; [N] or [N, 1] is needed")

    def test_an_encoding_that_is_not_offered_is_415(self, server: RunningServer) -> None:
        assert error(server, same("FP32"), request(X)[0], {"content-encoding": "br"})[0] == 415

    @pytest.mark.parametrize("packed", [b"", b"no gzip", gzip.compress(b"{}", mtime=0)[:-3]])
    def test_a_body_that_is_not_in_its_encoding_is_400(self, server: RunningServer, packed: bytes) -> None:
        assert error(server, same("FP32"), packed, {"content-encoding": "gzip"})[0] == 400

    def test_too_large_a_body_is_413(self, server: RunningServer) -> None:
        assert error(server, same("FP32"), b" " * (9 << 20))[0] == 413

    @pytest.mark.parametrize(
        "header", ["x-archlab-min-feed", "x-archlab-min-snapshot", "x-envoy-expected-rq-timeout-ms"]
    )
    @pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "٣"])
    def test_a_header_that_is_no_number_is_400(self, server: RunningServer, header: str, value: str) -> None:
        answer = server.client.post(
            f"/v2/models/{same('FP32')}/infer", content=request(X)[0], headers={header.encode(): value.encode()}
        )
        assert (answer.status_code, header in answer.json()["error"]) == (400, True)


class TestOtherPaths:
    """Whatever isn't the protocol's."""

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 404),
            ("GET", "/v1/models/delay", 404),
            ("POST", "/v2/models/delay/predict", 404),
            ("POST", "/v2", 405),
            ("DELETE", "/v2/models/delay", 405),
            ("GET", "/v2/repository/index", 405),
        ],
    )
    def test_they_are_errors_in_json(self, server: RunningServer, method: str, path: str, status: int) -> None:
        answer = server.client.request(method, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])

    def test_a_name_in_the_path_may_be_escaped(self, server: RunningServer) -> None:
        content, _ = request(X)
        answer = server.client.post("/v2/models/same%2Dfp32/infer", content=content)
        assert orjson.loads(answer.content)["model_name"] == "same-fp32"
