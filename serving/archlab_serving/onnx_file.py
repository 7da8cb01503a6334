"""What an ONNX file says about itself, read from its bytes before ONNX Runtime sees them.

Walks the Protocol Buffers wire format by the field numbers of ONNX's `onnx.proto`. Nothing is parsed into objects:
ONNX's own package would take several times the file's size and hold the interpreter for as long.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from mmap import mmap
from typing import NamedTuple

from .errors import RefusedReleaseError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_GRAPH_OF_MODEL, _NODE, _INITIALIZER = 7, 1, 5
_SESSION_BYTES = 64 << 10
_NODE_FACTOR = 8
_WINDOW = 1 << 20
_KEY = b"location"
Content = bytes | mmap
"""A file's bytes, read or mapped."""

_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Messages within messages that may lead to a tensor kept outside the file."""
_NUMBERS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f]|\x3d[\x00-\xff]{4}){1,4096}")
"""A run of an attribute's unpacked integers and floats: a tree ensemble has millions of them."""


class Field(NamedTuple):
    """One field of a message: its content is `data[start:end]`; `nested` for bytes, texts and messages."""

    number: int
    start: int
    end: int
    nested: bool


def check_self_contained(data: bytes) -> None:
    """Checks that no tensor is kept in another file: ONNX Runtime would read it from the process's working directory.

    Raises:
        RefusedReleaseError: one is, or the file can't be read far enough to know.
    """
    if not _mentions_location(data):
        return
    try:
        external = _has_external(data)
    except ValueError as error:
        raise RefusedReleaseError("contract", f"not an ONNX file: {error}") from error
    if external:
        raise RefusedReleaseError("external-data", "the graph keeps tensors in other files; save it as one file")


def memory_estimate(data: bytes) -> int:
    """What a session of this file is expected to take, bytes: its weights once and its nodes' attributes 8 times.

    Trees are attributes, which ONNX Runtime keeps parsed and as its own structures (5 to 7.3 times, measured).
    """
    weights = nodes = 0
    try:
        for graph in fields(data, 0, len(data)):
            if graph.number != _GRAPH_OF_MODEL or not graph.nested:
                continue
            for part in fields(data, graph.start, graph.end):
                if part.number == _NODE:
                    nodes += part.end - part.start
                elif part.number == _INITIALIZER:
                    weights += part.end - part.start
    except ValueError:
        return len(data)
    return _SESSION_BYTES + weights + _NODE_FACTOR * nodes


def _mentions_location(data: bytes) -> bool:
    """Whether the key is anywhere that every reference to another file has. In steps: others get their turn between."""
    for start in range(0, len(data), _WINDOW):
        if data.find(_KEY, start, start + _WINDOW + len(_KEY)) >= 0:
            return True
        time.sleep(0)
    return False


def _has_external(data: bytes) -> bool:
    waiting = [("model", 0, len(data))]
    while waiting:
        kind, start, end = waiting.pop()
        nested = _NESTED[kind]
        for field in fields(data, start, end, numbers=kind == "attribute"):
            inner = nested.get(field.number) if field.nested else None
            if inner == "external":
                return True
            if inner is not None:
                waiting.append((inner, field.start, field.end))
    return False


def fields(data: Content, start: int, end: int, *, numbers: bool = False) -> Iterator[Field]:
    """The fields of one message; with `numbers`, runs of plain numbers are passed over.

    Raises:
        ValueError: it is not what the wire format allows.
    """
    position = start
    while position < end:
        if numbers and (run := _NUMBERS.match(data, position, end)):
            position = run.end()
            continue
        tag, position = varint(data, position, end)
        wire = tag & 7
        if wire == _BYTES:
            length, position = varint(data, position, end)
            after = position + length
        elif wire == _VARINT:
            after = varint(data, position, end)[1]
        elif wire in (_FIXED32, _FIXED64):
            after = position + (4 if wire == _FIXED32 else 8)
        else:
            raise ValueError(f"wire type {wire} at byte {position}")
        if after > end:
            raise ValueError(f"a field ends at byte {after}, its message at {end}")
        yield Field(tag >> 3, position, after, wire == _BYTES)
        position = after


def varint(data: Content, position: int, end: int) -> tuple[int, int]:
    """A number at a position, and the position behind it.

    Raises:
        ValueError: it does not end.
    """
    value = shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"a number does not end at byte {position}")
