"""A tensor's bytes as they travel outside JSON: the Binary Tensor Data Extension's, and gRPC's raw contents."""

from __future__ import annotations

import struct

import numpy as np

from ..errors import BadRequestError
from .datatypes import BYTES, DATATYPES
from .messages import Data, Output


def decode(name: str, datatype: str, size: int, raw: bytes) -> Data:
    """The `size` elements of a tensor: little-endian, row-major; BYTES elements carry their lengths.

    Raises:
        BadRequestError: the bytes are more or fewer than that, or no texts; names the tensor.
    """
    if datatype == BYTES:
        return _texts(name, size, raw)
    dtype = DATATYPES[datatype].numpy
    if len(raw) != size * dtype.itemsize:
        raise BadRequestError(f"tensor {name!r} has {len(raw)} bytes, its shape needs {size * dtype.itemsize}")
    return np.frombuffer(raw, dtype=dtype)


def encode(output: Output) -> bytes:
    """The inverse of `decode`."""
    if output.datatype == BYTES:
        elements = [text.encode() for text in output.array.ravel()]
        return b"".join(part for element in elements for part in (struct.pack("<I", len(element)), element))
    return output.array.astype(DATATYPES[output.datatype].numpy, copy=False).tobytes()


def _texts(name: str, size: int, raw: bytes) -> list[str]:
    """Elements of a BYTES tensor: each a 4-byte little-endian length, then that many bytes."""
    texts: list[str] = []
    offset = 0
    try:
        while offset < len(raw):
            (length,) = struct.unpack_from("<I", raw, offset)
            offset += 4 + length
            if offset > len(raw):
                raise BadRequestError(f"tensor {name!r} ends within an element")
            texts.append(raw[offset - length : offset].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise BadRequestError(f"tensor {name!r} is not a BYTES tensor of UTF-8 texts: {error}") from error
    if len(texts) != size:
        raise BadRequestError(f"tensor {name!r} has {len(texts)} elements, its shape needs {size}")
    return texts
