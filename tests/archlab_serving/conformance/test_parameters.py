"""Specification: HTTP/REST, Parameters: `$parameters` of a request, an input and an output."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.archlab_serving.conformance.conftest import Array, error, infer, request, same
from tests.archlab_serving.conftest import RunningServer

X = Array("x", "FP32", [1, 2], [1.5, 2.5])
ENTRY = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}


class TestParameters:
    """An object of names with text, number or boolean values; the protocol leaves their meaning to the server."""

    @pytest.mark.parametrize("value", ["text", 1, -2.5, True])
    def test_unknown_parameters_are_passed_over(self, server: RunningServer, value: Any) -> None:
        entry = {**ENTRY, "parameters": {"mine": value}}
        asked = [{"name": "x_out", "parameters": {"mine": value}}]
        document = {"inputs": [entry], "outputs": asked, "parameters": {"mine": value}}
        assert infer(server, same("FP32"), orjson.dumps(document)).values["x_out"] == [1.5, 2.5]

    @pytest.mark.parametrize("parameters", [[], "text", 1, True])
    @pytest.mark.parametrize("place", ["request", "input", "output"])
    def test_they_are_an_object(self, server: RunningServer, place: str, parameters: Any) -> None:
        given = {"parameters": parameters}
        document = {
            "inputs": [{**ENTRY, **(given if place == "input" else {})}],
            "outputs": [{"name": "x_out", **(given if place == "output" else {})}],
            **(given if place == "request" else {}),
        }
        status, message = error(server, same("FP32"), orjson.dumps(document))
        assert (status, "'parameters' must be an object" in message) == (400, True)

    @pytest.mark.parametrize("place", ["request", "input", "output"])
    def test_null_is_none(self, server: RunningServer, place: str) -> None:
        given = {"parameters": None}
        document = {
            "inputs": [{**ENTRY, **(given if place == "input" else {})}],
            "outputs": [{"name": "x_out", **(given if place == "output" else {})}],
            **(given if place == "request" else {}),
        }
        assert infer(server, same("FP32"), orjson.dumps(document)).values["x_out"] == [1.5, 2.5]


class TestTimeout:
    """`timeout`, of the schedule policy extension: microseconds that the request may wait."""

    @pytest.mark.parametrize("timeout", [0, 10_000_000])
    def test_enough_time(self, server: RunningServer, timeout: int) -> None:
        assert infer(server, same("FP32"), *request(X, parameters={"timeout": timeout})).values["x_out"] == X.values


class TestExtensionsThatAreNotOffered:
    """Asking for what changes an answer's meaning is refused, not passed over."""

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"inputs": [{**ENTRY, "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
            ({"outputs": [{"name": "x_out", "parameters": {"shared_memory_region": "r"}}]}, "shared memory"),
            ({"outputs": [{"name": "x_out", "parameters": {"classification": 3}}]}, "classification"),
        ],
    )
    def test_they_are_named(self, server: RunningServer, change: dict[str, Any], words: str) -> None:
        status, message = error(server, same("FP32"), orjson.dumps({"inputs": [ENTRY], **change}))
        assert (status, words in message) == (400, True)
