"""Strict YAML content: one document, no duplicate keys, and errors that name file, line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from archlab.errors import SpecError

MAX_BYTES = 1 << 20
T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file that remembers where each value stood."""

    path: Path
    root: yaml.Node
    value: Any

    def line(self, place: Sequence[str | int]) -> int:
        """Line of the value at a place, or of the nearest one around it."""
        node = self.root
        for part in place:
            found = _child(node, part)
            if found is None:
                break
            node = found
        return int(node.start_mark.line) + 1


def read(path: Path) -> Document:
    """Parse a file of content.

    Raises:
        SpecError: missing, too large, not YAML, or with aliases or duplicate keys.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path} can't be read: {error.strerror}.") from None
    if len(text) > MAX_BYTES:
        raise SpecError(f"{path} has {len(text)} bytes; at most {MAX_BYTES} are read.")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise SpecError(f"{path} uses a YAML alias (*name).", "Write the value out.")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise SpecError(f"{path} is empty.")
        _refuse_duplicates(path, root)
        return Document(path, root, yaml.safe_load(text))
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise SpecError(f"{path}{where}: {getattr(error, 'problem', None) or error}.") from None


def parse(document: Document, kind: type[T]) -> T:
    """The document as a spec.

    Raises:
        SpecError: names every fault with line, id where there is one, and field.
    """
    try:
        return kind.model_validate(document.value)
    except ValidationError as error:
        raise SpecError("\n".join(_fault(document, e["loc"], e["msg"]) for e in error.errors()[:10])) from None


def _fault(document: Document, place: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in place) or "the document"
    named = _identifier(document.value, place)
    return f"{document.path}, line {document.line(place)}{named}: {field}: {message}"


def _identifier(value: Any, place: tuple[int | str, ...]) -> str:
    """` (ID)` of the innermost mapping with an `id` on the way to the place."""
    found = ""
    for part in place:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(value, dict) and "id" in value:
            found = f" ({value['id']})"
    return found


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((v for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item: yaml.Node = node.value[part]
        return item
    return None


def _refuse_duplicates(path: Path, node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise SpecError(f"{path}, line {key.start_mark.line + 1}: {key.value!r} stands there twice.")
            seen.add(key.value)
            _refuse_duplicates(path, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_duplicates(path, item)
