"""A tensor's elements as REST carries them: in JSON, and as binary data behind it.

JSON has no NaN and no infinities. `null` is NaN, both ways; the texts `Infinity` and `-Infinity` (and `NaN`, from
callers) stand for the others, as in the JSON mapping of Protocol Buffers. Everything else must be what it says: nothing
is rounded to an integer, wrapped, cut or filled up. Errors name the tensor.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import lru_cache
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequestError
from .datatypes import BOOL, BYTES, DATATYPES, FLOATS, Datatype
from .messages import Data, Output

MAX_RANK = 64
"""NumPy's own limit."""
MAX_EMPTY = 1 << 20
"""Most elements that the extents of an empty tensor may span beside the 0: its data doesn't bound them, and what a
graph makes of them may not be empty."""

_FEW = 4
"""Up to as many elements a list is as cheap as an array."""
_LENGTH = struct.Struct("<I")
_NAMED_FLOATS = {"NaN": None, "Infinity": math.inf, "-Infinity": -math.inf}


def element_count(name: str, shape: Any) -> int:
    """How many elements a tensor of this shape has; 1 for the shape `[]` of a scalar."""
    if type(shape) is not list:
        raise _bad_shape(name, shape)
    size = 1
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise _bad_shape(name, shape)
        size *= extent
    if not size or len(shape) > MAX_RANK:
        _check_extents(name, shape)
    return size


def from_json(name: str, kind: Datatype, shape: list[int], size: int, given: Any) -> Data:
    """The elements, flat; `given` is flat too, or nested exactly as the shape says."""
    if type(given) is not list:
        raise BadRequestError(f"tensor {name!r} has no 'data', which is a list")
    data: list[Any] = given
    if data and type(data[0]) is list:
        data = _flattened(name, shape, data)
    if len(data) != size:
        raise BadRequestError(f"tensor {name!r} has {len(data)} values, its shape needs {size}")
    limits = kind.limits
    if size == 1:
        value = data[0]
        if type(value) in kind.json_types and (limits is None or value is None or limits[0] <= value <= limits[1]):
            return data
    if not kind.json_types.issuperset(map(type, data)):
        data = _without_names(name, kind, data)
    return data if limits is None else _within_limits(name, kind, limits, data)


def from_binary(name: str, kind: Datatype, size: int, raw: bytes) -> Data:
    """The elements of little-endian, row-major binary data; texts carry their lengths."""
    if kind.name == BYTES:
        return _texts(name, size, raw)
    dtype = kind.numpy
    if len(raw) != size * dtype.itemsize:
        raise BadRequestError(f"tensor {name!r} has {len(raw)} bytes, its shape needs {size * dtype.itemsize}")
    if kind.name == BOOL and not set(raw) <= {0, 1}:
        raise BadRequestError(f"tensor {name!r} of datatype BOOL holds bytes other than 0 and 1")
    return np.frombuffer(raw, dtype=dtype)


def to_json(output: Output) -> Any:
    """The elements for orjson, which would write infinities as `null` too."""
    flat = output.array.ravel()
    if output.datatype == BYTES:
        return flat.tolist()
    if output.datatype not in FLOATS or (math.isfinite(flat.item()) if flat.size == 1 else np.isfinite(flat).all()):
        return flat
    return [("Infinity" if value > 0 else "-Infinity") if np.isinf(value) else value for value in flat]


def to_binary(output: Output) -> bytes:
    """The elements, little-endian, row-major; texts carry their lengths."""
    array: NDArray[Any] = output.array
    if output.datatype == BYTES:
        elements = [text.encode() for text in array.ravel()]
        return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))
    return array.astype(DATATYPES[output.datatype].numpy, copy=False).tobytes()


def _bad_shape(name: str, shape: Any) -> BadRequestError:
    return BadRequestError(f"tensor {name!r} has shape {shape!r}; a list of whole numbers from 0 is needed")


def _check_extents(name: str, shape: list[int]) -> None:
    if len(shape) > MAX_RANK:
        raise BadRequestError(f"tensor {name!r} has {len(shape)} dimensions; at most {MAX_RANK} are taken")
    if math.prod(extent for extent in shape if extent) > MAX_EMPTY:
        raise BadRequestError(f"tensor {name!r} has shape {shape}; an empty tensor may not span so much")


def _flattened(name: str, shape: list[int], data: list[Any]) -> list[Any]:
    found = [len(data)]
    while data and type(data[0]) is list:
        if len(found) == len(shape):
            raise BadRequestError(f"tensor {name!r} has 'data' nested deeper than its shape {shape}")
        if set(map(type, data)) != {list}:
            raise BadRequestError(f"tensor {name!r} mixes values and lists in its 'data'")
        if len(set(map(len, data))) != 1:
            raise BadRequestError(f"tensor {name!r} has lists of different lengths in its 'data'")
        found.append(len(data[0]))
        data = data[0] if len(data) == 1 else list(chain.from_iterable(data))
    if found != (shape if data else shape[: len(found)]):
        raise BadRequestError(f"tensor {name!r} has 'data' nested as {found}, its shape is {shape}")
    return data


def _without_names(name: str, kind: Datatype, data: list[Any]) -> list[Any]:
    """Floats that come as texts, as numbers; everything else that the datatype can't hold is refused."""
    strange = set(map(type, data)) - kind.json_types
    if strange == {str} and kind.name in FLOATS and all(type(v) is not str or v in _NAMED_FLOATS for v in data):
        return [_NAMED_FLOATS[value] if type(value) is str else value for value in data]
    names = ", ".join(sorted("null" if type_ is NoneType else type_.__name__ for type_ in strange))
    needed = "" if kind.limits is None else f"; numbers from {kind.limits[0]} to {kind.limits[1]} are needed"
    raise BadRequestError(f"tensor {name!r} of datatype {kind.name} holds values of type {names}{needed}")


def _within_limits(name: str, kind: Datatype, limits: tuple[float, float], data: list[Any]) -> Data:
    """The elements, each of which the datatype can hold; many of them as an array, which is made anyway later.

    `struct` refuses what doesn't fit, and is faster than NumPy, which may go to infinity.
    """
    try:
        packed = _packer(kind.code, len(data))(*data)
    except (struct.error, OverflowError):  # out of range, or null among the values
        _check_each(name, kind, limits, data)
        return data
    return data if len(data) <= _FEW else np.frombuffer(packed, dtype=kind.numpy)


@lru_cache(maxsize=1024)
def _packer(code: str, count: int) -> Callable[..., bytes]:
    return struct.Struct(f"<{count}{code}").pack


def _check_each(name: str, kind: Datatype, limits: tuple[float, float], data: list[Any]) -> None:
    lowest, highest = limits
    for value in data:
        if value is not None and not lowest <= value <= highest and not math.isinf(value):
            raise BadRequestError(f"tensor {name!r} of datatype {kind.name} can't hold {value}")


def _texts(name: str, size: int, raw: bytes) -> list[str]:
    """Elements of a BYTES tensor: each a 4-byte little-endian length, then that many bytes."""
    texts: list[str] = []
    offset, end = 0, len(raw)
    while offset < end:
        start = offset + _LENGTH.size
        if start > end:
            raise BadRequestError(f"tensor {name!r} ends within the length of element {len(texts)}")
        offset = start + _LENGTH.unpack_from(raw, start - _LENGTH.size)[0]
        if offset > end:
            raise BadRequestError(f"tensor {name!r} ends within element {len(texts)}")
        try:
            texts.append(raw[start:offset].decode())
        except UnicodeDecodeError as error:
            raise BadRequestError(
                f"tensor {name!r}: element {len(texts)} is not UTF-8 ({error.reason} at byte {error.start}); models "
                "here take texts, so send other bytes as UINT8 or in base64"
            ) from error
    if len(texts) != size:
        raise BadRequestError(f"tensor {name!r} has {len(texts)} elements, its shape needs {size}")
    return texts
