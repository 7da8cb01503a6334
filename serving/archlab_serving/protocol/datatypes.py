"""The protocol's tensor datatypes, and what they are in NumPy and in ONNX Runtime."""

from __future__ import annotations

from types import NoneType
from typing import Any, NamedTuple

import numpy as np


class Datatype(NamedTuple):
    """One datatype. BYTES holds texts and has no NumPy type of a fixed size."""

    name: str
    numpy: np.dtype[Any]
    json_types: frozenset[type]
    """Types of the values that JSON may bring; `null` is NaN."""
    onnx: str
    """What ONNX Runtime calls a tensor of it."""


_FLOATS: frozenset[type] = frozenset({float, int, NoneType})
_INTEGERS: frozenset[type] = frozenset({int})
_OBJECT = np.dtype(object)

DATATYPES: dict[str, Datatype] = {
    made.name: made
    for made in (
        Datatype("BOOL", np.dtype("?"), frozenset({bool}), "tensor(bool)"),
        *(Datatype(f"UINT{n}", np.dtype(f"<u{n // 8}"), _INTEGERS, f"tensor(uint{n})") for n in (8, 16, 32, 64)),
        *(Datatype(f"INT{n}", np.dtype(f"<i{n // 8}"), _INTEGERS, f"tensor(int{n})") for n in (8, 16, 32, 64)),
        Datatype("FP16", np.dtype("<f2"), _FLOATS, "tensor(float16)"),
        Datatype("FP32", np.dtype("<f4"), _FLOATS, "tensor(float)"),
        Datatype("FP64", np.dtype("<f8"), _FLOATS, "tensor(double)"),
        Datatype("BYTES", _OBJECT, frozenset({str}), "tensor(string)"),
    )
}
BYTES = "BYTES"
NUMERIC = frozenset(DATATYPES) - {BYTES, "BOOL"}
BY_ONNX = {made.onnx: made for made in DATATYPES.values()}
