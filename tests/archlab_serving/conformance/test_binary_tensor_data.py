"""Specification: Binary Tensor Data Extension: data behind the JSON of requests and responses, and raw requests."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.archlab_serving.conformance.conftest import (
    DATATYPE_NAMES,
    EVERY_TYPE,
    HEADER_LENGTH,
    SAMPLES,
    Array,
    equal,
    error,
    infer,
    pack,
    request,
    same,
)
from tests.archlab_serving.conftest import RunningServer

BINARY = {"binary_data_output": True}
EVERY = tuple(Array(name.lower(), name, [4], SAMPLES[name]) for name in DATATYPE_NAMES)


def sample(datatype: str) -> Array:
    return Array("x", datatype, [2, 2], SAMPLES[datatype])


class TestBinaryTensorRequest:
    """An input's `binary_data_size` takes its data from behind the JSON, whose length the header says."""

    @pytest.mark.parametrize("out", [False, True])
    @pytest.mark.parametrize("into", [False, True])
    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_every_datatype_both_ways(self, server: RunningServer, datatype: str, into: bool, out: bool) -> None:
        given = sample(datatype)
        reply = infer(server, same(datatype), *request(given, binary=into, parameters={"binary_data_output": out}))
        assert equal(datatype, reply.values["x_out"], given.values)
        assert (HEADER_LENGTH in reply.headers) is out

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_an_empty_tensor(self, server: RunningServer, datatype: str) -> None:
        content, headers = request(Array("x", datatype, [0, 2], []), binary=True, parameters=BINARY)
        reply = infer(server, same(datatype), content, headers)
        assert (reply.values["x_out"], reply.document["outputs"][0]["shape"]) == ([], [0, 2])

    def test_binary_and_json_inputs_mix_in_their_order(self, server: RunningServer) -> None:
        entries: list[dict[str, Any]] = []
        data = b""
        for number, array in enumerate(EVERY):
            entry: dict[str, Any] = {"name": array.name, "datatype": array.datatype, "shape": array.shape}
            raw = pack(array.datatype, array.values)
            data += raw if number % 2 else b""
            given = {"parameters": {"binary_data_size": len(raw)}} if number % 2 else {"data": array.values}
            entries.append({**entry, **given})
        head = orjson.dumps({"inputs": entries})
        reply = infer(server, EVERY_TYPE, head + data, {HEADER_LENGTH: str(len(head))})
        for array in EVERY:
            assert equal(array.datatype, reply.values[f"{array.name}_out"], array.values), array.name

    @pytest.mark.parametrize("length", ["-1", "+5", "ten", "", "1e2", "99999", "9" * 40, "١", "0x10"])
    def test_a_header_that_is_no_length_within_the_body(self, server: RunningServer, length: str) -> None:
        content, _ = request(sample("FP32"), binary=True)
        answer = server.client.post(
            f"/v2/models/{same('FP32')}/infer", content=content, headers={HEADER_LENGTH.encode(): length.encode()}
        )
        assert answer.status_code == 400
        assert "Inference-Header-Content-Length" in answer.json()["error"]

    def test_data_without_the_header_is_refused(self, server: RunningServer) -> None:
        content, _ = request(sample("FP32"), binary=True)
        assert error(server, same("FP32"), content)[0] == 400

    @pytest.mark.parametrize("size", [-1, 15, 17, 1 << 70, "16", 16.0, True])
    def test_a_size_that_is_not_the_shapes(self, server: RunningServer, size: Any) -> None:
        entry = {"name": "x", "datatype": "FP32", "shape": [2, 2], "parameters": {"binary_data_size": size}}
        head = orjson.dumps({"inputs": [entry]}) if size != 1 << 70 else _huge(entry)
        status, message = error(server, same("FP32"), head + b"\0" * 16, {HEADER_LENGTH: str(len(head))})
        assert (status, "tensor 'x'" in message or "belong to no tensor" in message) == (400, True)

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    @pytest.mark.parametrize("change", [-1, 1])
    def test_bytes_that_are_missing_or_left_over(self, server: RunningServer, datatype: str, change: int) -> None:
        content, headers = request(sample(datatype), binary=True)
        changed = content[:-1] if change < 0 else content + b"\0"
        assert error(server, same(datatype), changed, headers)[0] == 400

    def test_data_and_binary_data_at_once(self, server: RunningServer) -> None:
        entry = {
            "name": "x",
            "datatype": "INT8",
            "shape": [1, 2],
            "parameters": {"binary_data_size": 2},
            "data": [1, 2],
        }
        head = orjson.dumps({"inputs": [entry]})
        assert error(server, same("INT8"), head + b"\1\2", {HEADER_LENGTH: str(len(head))})[0] == 400

    def test_a_boolean_is_0_or_1(self, server: RunningServer) -> None:
        content, headers = request(Array("x", "BOOL", [1, 2], [True, False]), binary=True)
        status, message = error(server, same("BOOL"), content[:-1] + b"\2", headers)
        assert (status, message) == (400, "tensor 'x' of datatype BOOL holds bytes other than 0 and 1")

    @pytest.mark.parametrize(
        "raw",
        [
            b"\1\0\0\0a",
            b"\1\0\0\0a\1\0\0\0",
            b"\1\0\0\0a\1\0\0",
            b"\1\0\0\0a\xff\xff\xff\xffb",
            b"\1\0\0\0a\1\0\0\0\xff",
            b"\0\0\0\0" * 3,
        ],
    )
    def test_elements_of_bytes_carry_their_lengths(self, server: RunningServer, raw: bytes) -> None:
        entry = {"name": "x", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": len(raw)}}
        head = orjson.dumps({"inputs": [entry]})
        status, message = error(server, same("BYTES"), head + raw, {HEADER_LENGTH: str(len(head))})
        assert (status, "tensor 'x'" in message) == (400, True)


class TestBinaryTensorResponse:
    """An output's `binary_data`, or the request's `binary_data_output` for those that don't say."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_its_size_and_headers(self, server: RunningServer, datatype: str) -> None:
        given = sample(datatype)
        asked = [{"name": "x_out", "parameters": {"binary_data": True}}]
        reply = infer(server, same(datatype), *request(given, outputs=asked))
        (output,) = reply.document["outputs"]
        assert output["parameters"] == {"binary_data_size": len(pack(datatype, given.values))}
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers[HEADER_LENGTH].isdigit()

    @pytest.mark.parametrize("default", [None, False, True])
    @pytest.mark.parametrize("own", [None, False, True])
    def test_an_output_overrides_the_request(
        self, server: RunningServer, own: bool | None, default: bool | None
    ) -> None:
        asked = [{"name": "x_out", **({} if own is None else {"parameters": {"binary_data": own}})}]
        fields: dict[str, Any] = {} if default is None else {"parameters": {"binary_data_output": default}}
        reply = infer(server, same("INT32"), *request(sample("INT32"), outputs=asked, **fields))
        assert ("data" not in reply.document["outputs"][0]) is bool(default if own is None else own)
        assert reply.values["x_out"] == SAMPLES["INT32"]

    def test_binary_and_json_outputs_mix(self, server: RunningServer) -> None:
        names = [f"{array.name}_out" for array in EVERY]
        asked = [{"name": name, "parameters": {"binary_data": number % 2 == 0}} for number, name in enumerate(names)]
        reply = infer(server, EVERY_TYPE, *request(*EVERY, outputs=asked))
        assert ["data" in output for output in reply.document["outputs"]] == [n % 2 == 1 for n in range(len(names))]
        for array in EVERY:
            assert equal(array.datatype, reply.values[f"{array.name}_out"], array.values), array.name

    @pytest.mark.parametrize("value", [1, "true", [], {}])
    def test_the_flags_are_booleans(self, server: RunningServer, value: Any) -> None:
        given = sample("FP32")
        assert error(server, same("FP32"), *request(given, parameters={"binary_data_output": value}))[0] == 400
        asked = [{"name": "x_out", "parameters": {"binary_data": value}}]
        assert error(server, same("FP32"), *request(given, outputs=asked))[0] == 400

    def test_an_error_is_json(self, server: RunningServer) -> None:
        wrong = sample("FP32")._replace(name="y")
        assert error(server, same("FP32"), *request(wrong, binary=True, parameters=BINARY))[0] == 400


class TestRawBinaryRequest:
    """A header length of 0: the body is the only input's data, whose shape follows from its size."""

    RAW = {HEADER_LENGTH: "0"}

    @pytest.mark.parametrize("datatype", [name for name in DATATYPE_NAMES if name != "BYTES"])
    def test_every_datatype_of_a_fixed_size(self, server: RunningServer, datatype: str) -> None:
        values = SAMPLES[datatype]
        reply = infer(server, same(datatype), pack(datatype, values), self.RAW)
        assert equal(datatype, reply.values["x_out"], values)
        assert reply.document["outputs"][0]["shape"] == [2, 2]
        assert HEADER_LENGTH in reply.headers

    @pytest.mark.parametrize(("model", "count", "shape"), [("scalar", 1, []), ("fixed", 4, [2, 2])])
    def test_shapes_without_a_variable_extent(
        self, server: RunningServer, model: str, count: int, shape: list[int]
    ) -> None:
        reply = infer(server, model, pack("FP32", [1.0] * count), self.RAW)
        assert (reply.document["outputs"][0]["shape"], reply.values["x_out"]) == (shape, [1.0] * count)

    def test_a_columnar_models_matrix(self, server: RunningServer) -> None:
        assert infer(server, "delay", pack("FP32", [0.0, 0.0, 0.0, 0.0, 1.0] * 2), self.RAW).values == {
            "prediction": [10000.0, 10000.0]
        }

    def test_the_key_of_a_table_is_one_element(self, server: RunningServer) -> None:
        assert infer(server, "reliability", b"N1", self.RAW).values == {"prediction": [0.25]}

    @pytest.mark.parametrize(
        ("model", "raw", "words"),
        [
            (same("FP32"), b"\0" * 9, "has 9 bytes, its shape needs 8"),
            (same("FP32"), b"\0" * 12, "has 12 bytes, its shape needs 8"),
            ("fixed", b"\0" * 12, "has 12 bytes, its shape needs 16"),
            ("free", b"\0" * 16, "don't tell more than one extent"),
            (EVERY_TYPE, b"\0", "is for models of one input"),
            (same("BYTES"), b"text", "has 1 elements, its shape needs 0"),
            (same("BOOL"), b"\2\2", "bytes other than 0 and 1"),
            ("reliability", b"\xff", "is not UTF-8"),
        ],
    )
    def test_a_size_that_tells_no_shape(self, server: RunningServer, model: str, raw: bytes, words: str) -> None:
        status, message = error(server, model, raw, self.RAW)
        assert (status, words in message) == (400, True), message

    def test_an_empty_body_is_no_request(self, server: RunningServer) -> None:
        assert error(server, same("FP32"), b"", self.RAW)[0] == 400


def _huge(entry: dict[str, Any]) -> bytes:
    """A number that the JSON writer doesn't write."""
    return orjson.dumps({"inputs": [{**entry, "parameters": {"binary_data_size": 7}}]}).replace(
        b'"binary_data_size":7', b'"binary_data_size":%d' % (1 << 70)
    )
