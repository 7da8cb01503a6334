"""The protocol's tensor datatypes, and what they are in NumPy and in ONNX Runtime."""

from __future__ import annotations

import math
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
    limits: tuple[float, float] | None
    """Lowest and highest number that it can hold; None where JSON can't exceed it."""
    code: str = ""
    """What `struct` calls an element; empty without limits."""


_FLOATS: frozenset[type] = frozenset({float, int, NoneType})
_INTEGERS: frozenset[type] = frozenset({int})


def _integer(name: str, numpy: str, code: str) -> Datatype:
    dtype = np.dtype(numpy)
    info = np.iinfo(dtype)
    return Datatype(name, dtype, _INTEGERS, f"tensor({name.lower()})", (int(info.min), int(info.max)), code)


def _float(name: str, numpy: str, code: str, onnx: str) -> Datatype:
    """What is less than half a unit in the last place beyond the largest number is rounded to it; more would be inf."""
    dtype = np.dtype(numpy)
    info = np.finfo(dtype)
    most = math.nextafter(float(info.max) + 2.0 ** (info.maxexp - info.nmant - 2), 0.0)
    return Datatype(name, dtype, _FLOATS, onnx, (-most, most), code)


DATATYPES: dict[str, Datatype] = {
    made.name: made
    for made in (
        Datatype("BOOL", np.dtype("?"), frozenset({bool}), "tensor(bool)", None),
        *(_integer(f"UINT{8 << n}", f"<u{1 << n}", code) for n, code in enumerate("BHIQ")),
        *(_integer(f"INT{8 << n}", f"<i{1 << n}", code) for n, code in enumerate("bhiq")),
        _float("FP16", "<f2", "e", "tensor(float16)"),
        _float("FP32", "<f4", "f", "tensor(float)"),
        Datatype("FP64", np.dtype("<f8"), _FLOATS, "tensor(double)", None),
        Datatype("BYTES", np.dtype(object), frozenset({str}), "tensor(string)", None),
    )
}
BYTES = "BYTES"
BOOL = "BOOL"
FLOATS = frozenset({"FP16", "FP32", "FP64"})
NUMERIC = frozenset(DATATYPES) - {BYTES, BOOL}
BY_ONNX = {made.onnx: made for made in DATATYPES.values()}
