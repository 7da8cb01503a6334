"""Specification: HTTP/REST, Tensor Data: elements in JSON, and Tensor Data Types."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.archlab_serving.conformance.conftest import (
    DATATYPE_NAMES,
    FLOATS,
    SAMPLES,
    Array,
    equal,
    error,
    infer,
    request,
    same,
)
from tests.archlab_serving.conftest import RunningServer


def tensor(datatype: str, values: list[Any], shape: list[int] | None = None) -> Array:
    return Array("x", datatype, shape or [1, 2], values)


class TestTensorData:
    """`$tensor_data`: flat in row-major order, or nested as the shape says."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_flat(self, server: RunningServer, datatype: str) -> None:
        values = SAMPLES[datatype]
        reply = infer(server, same(datatype), *request(tensor(datatype, values, [2, 2])))
        assert equal(datatype, reply.values["x_out"], values)

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    def test_nested(self, server: RunningServer, datatype: str) -> None:
        values = SAMPLES[datatype]
        reply = infer(server, same(datatype), *request(tensor(datatype, [values[:2], values[2:]], [2, 2])))
        assert equal(datatype, reply.values["x_out"], values)

    @pytest.mark.parametrize(
        "values",
        [
            [1.0],
            [1.0, 2.0, 3.0],
            [[1.0], [2.0]],
            [[1.0, 2.0], [3.0, 4.0]],
            [[[1.0, 2.0]]],
            [[1.0], 2.0],
            [1.0, [2.0]],
            [[]],
            [],
            "12",
            {"0": 1.0},
            None,
        ],
    )
    def test_it_must_fit_the_shape(self, server: RunningServer, values: Any) -> None:
        assert error(server, same("FP32"), *request(tensor("FP32", values)))[0] == 400


class TestTensorDataTypes:
    """BOOL is `true` and `false`, whole numbers and floats are numbers, BYTES are texts."""

    @pytest.mark.parametrize("datatype", DATATYPE_NAMES)
    @pytest.mark.parametrize("value", [True, 1, 1.5, "1", None, {}])
    def test_a_value_of_another_type_is_refused(self, server: RunningServer, datatype: str, value: Any) -> None:
        takes = {"BOOL": (bool,), "BYTES": (str,), **dict.fromkeys(FLOATS, (int, float, type(None)))}
        good = SAMPLES[datatype][1]
        content, headers = request(tensor(datatype, [good, value]))
        if type(value) in takes.get(datatype, (int,)):
            assert equal(datatype, infer(server, same(datatype), content, headers).values["x_out"], [good, value])
        else:
            status, message = error(server, same(datatype), content, headers)
            assert (status, message.startswith(f"tensor 'x' of datatype {datatype} holds values of type")) == (
                400,
                True,
            )

    @pytest.mark.parametrize("datatype", [name for name in DATATYPE_NAMES if "INT" in name])
    @pytest.mark.parametrize("side", [0, 1])
    def test_a_whole_number_beyond_the_datatype_is_refused(
        self, server: RunningServer, datatype: str, side: int
    ) -> None:
        beyond = SAMPLES[datatype][side] + (1 if side else -1)
        status, message = error(server, same(datatype), _raw(datatype, beyond))
        assert (status, "tensor 'x'" in message) == (400, True)

    @pytest.mark.parametrize(
        ("datatype", "value"), [("FP16", 65520.0), ("FP16", -1e5), ("FP32", 3.5e38), ("FP32", -1e300)]
    )
    def test_a_float_beyond_the_datatype_is_refused(self, server: RunningServer, datatype: str, value: float) -> None:
        status, message = error(server, same(datatype), *request(tensor(datatype, [0.0, value])))
        assert (status, message) == (400, f"tensor 'x' of datatype {datatype} can't hold {value}")

    @pytest.mark.parametrize("datatype", FLOATS)
    def test_nan_and_infinities(self, server: RunningServer, datatype: str) -> None:
        """JSON has none: `null` is NaN, texts are the infinities."""
        reply = infer(
            server, same(datatype), *request(tensor(datatype, [None, "Infinity", "-Infinity", "NaN"], [2, 2]))
        )
        assert reply.values["x_out"] == [None, "Infinity", "-Infinity", None]
        constants = b"NaN, Infinity, -Infinity, 1.0"
        content = request(tensor(datatype, [7, 7, 7, 7], [2, 2]))[0].replace(b"7,7,7,7", constants)
        assert constants in content
        assert infer(server, same(datatype), content).values["x_out"] == [None, "Infinity", "-Infinity", 1.0]

    @pytest.mark.parametrize("datatype", FLOATS)
    def test_nan_and_infinities_in_binary(self, server: RunningServer, datatype: str) -> None:
        given = tensor(datatype, [math.nan, math.inf, -math.inf, -0.0], [2, 2])
        content, headers = request(given, binary=True, parameters={"binary_data_output": True})
        assert equal(datatype, infer(server, same(datatype), content, headers).values["x_out"], given.values)


def _raw(datatype: str, number: int) -> bytes:
    """A request whose second element is the number, which may be too large for a JSON writer."""
    return request(tensor(datatype, [0, 7]))[0].replace(b"[0,7]", b"[0,%d]" % number)
