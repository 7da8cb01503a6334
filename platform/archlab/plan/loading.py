"""Reads a YAML file into a spec, within limits; a fault is named by file, line and field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from archlab.errors import NotFoundError, SpecError
from archlab.settings import scenario_roots
from archlab.spec.base import Spec
from archlab.spec.scenario import Scenario

MAX_BYTES = 256 * 1024
MAX_NODES = 20_000
"""Nodes after aliases are expanded: a few lines of anchors can stand for billions."""
MAX_FAULTS = 5
"""Faults of one file that are reported at once."""

S = TypeVar("S", bound=Spec)


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without base-60 numbers, which would turn `10:30` into 630."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":int", ":float"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9_]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9][0-9_]*\.[0-9]*|[0-9][0-9_]*)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def scenario_names() -> list[str]:
    """Scenarios that ship with the product, and those in folders that ARCHLAB_SCENARIOS names."""
    return sorted({p.parent.name.replace("_", "-") for root in scenario_roots() for p in root.glob("*/scenario.yaml")})


def scenario_folder(name: str) -> Path:
    """Folder of a scenario's content.

    Raises:
        NotFoundError: there is no such scenario.
    """
    for root in scenario_roots():
        folder = root / name.replace("-", "_")
        if (folder / "scenario.yaml").is_file():
            return folder
    raise NotFoundError(f"There is no scenario {name!r}.", f"Known: {', '.join(scenario_names())}.")


def load_scenario(path: Path) -> Scenario:
    """A scenario from its `scenario.yaml`.

    Raises:
        SpecError: the file is missing, too large, not YAML, or not a scenario.
    """
    return load(path, Scenario)


def load(path: Path, kind: type[S]) -> S:
    """A spec of any kind from a YAML file; errors as `load_scenario`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path} can't be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{path} is larger than {MAX_BYTES // 1024} KiB.", "Split it or make it shorter.")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is not UTF-8: byte {error.start} can't be read.", "Save it as UTF-8.") from None
    return parse(text, kind, source=str(path))


def parse(text: str, kind: type[S], *, source: str) -> S:
    """A spec from YAML text; `source` names the text in errors.

    Raises:
        SpecError: naming source, line and field.
    """
    root, value = _construct(text, source)
    if root is None:
        raise SpecError(f"{source} is empty.")
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        shown = "\n".join(_fault(source, root, dict(fault)) for fault in faults[:MAX_FAULTS])
        more = f"\n... and {len(faults) - MAX_FAULTS} more" if len(faults) > MAX_FAULTS else ""
        raise SpecError(shown + more) from None


def _construct(text: str, source: str) -> tuple[Node | None, Any]:
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, None
        _check(root, source)
        return root, loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{source}:{line}: not valid YAML: {error.problem}.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"{source}: not valid YAML: {error}.") from None
    except RecursionError:
        raise SpecError(f"{source} is nested too deeply.") from None
    finally:
        if loader is not None:
            loader.dispose()


def _check(root: Node, source: str) -> None:
    for count, node in enumerate(_walk(root)):
        if count > MAX_NODES:
            raise SpecError(f"{source} has more than {MAX_NODES} values once its aliases are expanded.")
        if isinstance(node, MappingNode):
            _no_duplicates(node, source)


def _walk(root: Node) -> Iterator[Node]:
    """Every node, aliases expanded; endless for an alias that contains itself."""
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, MappingNode):
            pending.extend(part for pair in node.value for part in pair)
        elif isinstance(node, SequenceNode):
            pending.extend(node.value)


def _no_duplicates(node: MappingNode, source: str) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        if isinstance(key, ScalarNode) and key.value in seen and key.value != "<<":
            raise SpecError(f"{source}:{key.start_mark.line + 1}: {key.value!r} is given twice.")
        if isinstance(key, ScalarNode):
            seen.add(key.value)


def _fault(source: str, root: Node, fault: dict[str, Any]) -> str:
    line, field = _place(root, tuple(fault["loc"]))
    found = fault.get("input")
    shown = f" (found {found!r})" if isinstance(found, str | int | float) else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{source}:{line}: {field + ': ' if field else ''}{message}{shown}"


def _place(root: Node, loc: tuple[int | str, ...]) -> tuple[int, str]:
    """Line (from 1) and readable path of a pydantic location; items are called by their name where they have one."""
    node, names = root, []
    for step in loc:
        child = _child(node, step)
        if child is None:
            if step == loc[-1] and isinstance(step, str):
                names.append(step)
            continue
        node = child
        names.append(_name(node) or str(step) if isinstance(step, int) else str(step))
    return node.start_mark.line + 1, ".".join(names)


def _child(node: Node, step: int | str) -> Node | None:
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        found: Node = node.value[step]
        return found
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if isinstance(key, ScalarNode) and key.value == step:
                return value if isinstance(value, Node) else None
    return None


def _name(node: Node) -> str:
    for key in ("name", "id", "view", "resource"):
        child = _child(node, key)
        if isinstance(child, ScalarNode):
            return str(child.value)
    return ""
