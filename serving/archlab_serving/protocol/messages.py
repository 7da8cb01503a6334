"""Requests and answers of the protocol, however they travel.

What is made at every request is a named tuple: immutable, and half the price of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from numpy.typing import NDArray

Data = Sequence[Any] | NDArray[Any]
Parameter = str | int | float | bool


class Tensor(NamedTuple):
    """One input. `data` is flat, row-major, its length the product of `shape`; text for BYTES, numbers otherwise."""

    name: str
    datatype: str
    shape: list[int]
    data: Data

    @property
    def texts(self) -> Sequence[str]:
        """The elements of a BYTES tensor."""
        return cast("Sequence[str]", self.data)


class RequestedOutput(NamedTuple):
    """An output that the request names; `binary` is None where the request leaves it to its own default."""

    name: str
    binary: bool | None


class InferRequest(NamedTuple):
    """A parsed request. No `outputs` means all of them."""

    id: str
    inputs: Mapping[str, Tensor]
    parameters: Mapping[str, Any]
    outputs: tuple[RequestedOutput, ...]
    binary_output: bool
    """Outputs go back as binary data unless they say otherwise."""
    raw: bytes | None = None
    """The only input's data without a description: `inputs` is empty until the model is known."""


class Output(NamedTuple):
    """One output; `array` has the tensor's shape, of dtype object with texts for BYTES."""

    name: str
    datatype: str
    array: NDArray[Any]


class Answer(NamedTuple):
    """What a response says, and where it came from."""

    model: str
    version: str
    id: str
    outputs: Sequence[Output]
    parameters: Mapping[str, Parameter]
    notices: Sequence[tuple[bytes, bytes]] = ()
    """Headers that its transport adds."""
