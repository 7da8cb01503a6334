"""What an ONNX graph would need besides itself: other files, operators from elsewhere, more memory than it has bytes.

Read from the file's bytes by the field numbers of ONNX's `onnx.proto`; nothing is parsed into objects, nothing is run.
The registry's gate looks at every message of a file before it is registered, the server again at what costs no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .errors import RefusedReleaseError
from .onnx_file import Content, Field, fields, varint

OPERATOR_DOMAINS = frozenset({"ai.onnx", "ai.onnx.ml"})
"""Operator sets of the ONNX standard that every runtime brings along."""
MOST_NAMED = 20
"""Of a kind of finding, as many are named."""
MOST_DIMENSIONS = 64
MOST_ELEMENTS = 1 << 53
"""Counted no further: a number that JSON can hold."""
MOST_FIELDS = 20_000_000
"""More parts than a tree ensemble of a gigabyte has: looking at them would take minutes."""
_TEXT_BYTES = 200
_DEEPEST = 16
"""Graphs within graphs; more than that is nobody's model."""

_NESTED: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DOMAIN: Mapping[str, int] = {"opset": 1, "node": 7, "function": 10}
_DIMS, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 8, 9, 13, 14
_STRINGS = 6
_DATA = frozenset({4, 5, _STRINGS, 7, _RAW, 10, 11})
"""Fields of a tensor that hold its elements: four bits of each at least, but for texts, which may be empty."""
_GRAPH = frozenset({"graph"})


@dataclass(slots=True)
class Inspection:
    """What was found in one file."""

    domains: set[str] = field(default_factory=set)
    """Operator sets that it names; the standard's own is `ai.onnx`."""
    outside: list[tuple[str, str]] = field(default_factory=list)
    """Tensors that are kept in other files: name and location."""
    oversized: list[tuple[str, int, int]] = field(default_factory=list)
    """Tensors that declare more elements than the file has bytes for: name, elements, bytes."""
    nodes: int = 0


def inspect(data: Content) -> Inspection:
    """Everything in a file, in subgraphs, functions and attributes too.

    Raises:
        ValueError: it is no ONNX file.
    """
    found = _walked(data, attributes=True)
    if not found.nodes:
        raise ValueError("there is no node in it")
    return found


def check(data: bytes) -> None:
    """Checks what takes no time however large the file is: operator sets, and the main graph's own tensors.

    Raises:
        RefusedReleaseError: an operator set of elsewhere, or a tensor with more elements than bytes.
    """
    try:
        found = _walked(data, attributes=False)
    except ValueError:
        return  # ONNX Runtime says it better
    if foreign := sorted(found.domains - OPERATOR_DOMAINS):
        raise RefusedReleaseError(
            "operators", f"the graph needs operators of {', '.join(foreign[:MOST_NAMED])}, which are not ONNX's own"
        )
    for name, elements, size in found.oversized:
        raise RefusedReleaseError("oversized", f"tensor {name!r} declares {elements} elements and has {size} bytes")


def _walked(data: Content, *, attributes: bool) -> Inspection:
    found = Inspection()
    waiting = [("model", 0, len(data), 0)]
    left = MOST_FIELDS
    while waiting:
        kind, start, end, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"more than {_DEEPEST} graphs within graphs")
        if kind == "tensor":
            _tensor(data, start, end, found)
            continue
        found.nodes += kind == "node"
        domain = "" if kind in _DOMAIN else None
        for part in fields(data, start, end, numbers=kind == "attribute"):
            if (left := left - 1) < 0:
                raise ValueError(f"more than {MOST_FIELDS} parts")
            if not part.nested:
                continue
            if part.number == _DOMAIN.get(kind):
                domain = _text(data, part)
            elif (inner := _NESTED.get(kind, {}).get(part.number)) and (attributes or inner != "attribute"):
                waiting.append((inner, part.start, part.end, depth + (inner in _GRAPH)))
        if domain is not None:
            found.domains.add(domain or "ai.onnx")
    return found


def _tensor(data: Content, start: int, end: int, found: Inspection) -> None:
    name, elements, size, external = "", 1, 0, False
    where = ""
    dimensions = 0
    for part in fields(data, start, end):
        if part.number == _DIMS:
            for extent in _extents(data, part):
                dimensions += 1
                if extent < 0 or dimensions > MOST_DIMENSIONS:
                    raise ValueError(f"tensor {name!r} has impossible dimensions")
                elements = min(elements * extent, MOST_ELEMENTS)
        elif part.number == _NAME and part.nested:
            name = _text(data, part)
        elif part.number in _DATA:
            size += part.end - part.start + (part.number == _STRINGS)
        elif part.number == _EXTERNAL and part.nested:
            where, external = _location(data, part) or where, True
        elif part.number == _LOCATION and not part.nested:
            external = external or varint(data, part.start, part.end)[0] != 0
    if external and len(found.outside) < MOST_NAMED:
        found.outside.append((name, where))
    elif not external and elements > 2 * size and len(found.oversized) < MOST_NAMED:
        found.oversized.append((name, elements, size))


def _extents(data: Content, part: Field) -> Iterator[int]:
    """Dimensions, packed or one by one."""
    position = part.start
    while position < part.end:
        extent, position = varint(data, position, part.end)
        yield extent - (1 << 64) if extent >= 1 << 63 else extent


def _location(data: Content, part: Field) -> str:
    """The value of an entry whose key is `location`; empty for another."""
    key = value = ""
    for entry in fields(data, part.start, part.end):
        if entry.number == 1:
            key = _text(data, entry)
        elif entry.number == 2:
            value = _text(data, entry)
    return value if key == "location" else ""


def _text(data: Content, part: Field) -> str:
    return bytes(data[part.start : min(part.end, part.start + _TEXT_BYTES)]).decode(errors="replace")
