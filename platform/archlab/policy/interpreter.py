"""rego-cpp through its Python binding: modules in, one entry point asked many times.

What was learned of the binding (regopy 1.5) and is taken care of here: input goes in as a JSON *term*, because the
object interface rounds floats to six digits and leaves quotes in strings unescaped in the answer; an error comes back
as text that is not JSON; built-in errors are silent unless strict; an interpreter is not safe for threads.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from archlab.errors import ArchlabError


class RegoError(ArchlabError):
    """Rego that can't be compiled or evaluated; `file` and `line` when rego-cpp knows them."""

    def __init__(self, message: str, *, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.file = file
        self.line = line


class Program:
    """Compiled modules and one entry point, e.g. `data.archlab.decision`.

    Raises:
        RegoError: a module does not parse; carries its file and line.
    """

    def __init__(self, modules: Mapping[str, str], entry: str) -> None:
        import regopy

        self._lock = threading.Lock()
        self._interpreter = regopy.Interpreter()
        self._interpreter.strict_built_in_errors = True
        for name, text in modules.items():
            try:
                self._interpreter.add_module(name, text)
            except regopy.RegoError as error:
                raise _compile_error(str(error), modules) from None
        try:
            self._bundle = self._interpreter.build(entry)
        except regopy.RegoError as error:
            raise _compile_error(str(error), modules) from None

    def evaluate(self, document: str) -> Any:
        """The entry point's value for an input given as JSON text; None when undefined.

        Raises:
            RegoError: evaluation failed (a built-in's error, two values for one name, an unknown function).
        """
        import regopy

        with self._lock:
            try:
                self._interpreter.set_input_term(document)
                output = self._interpreter.query_bundle(self._bundle)
            except json.JSONDecodeError as error:
                raise RegoError(_message(error.doc)) from None
            except regopy.RegoError as error:
                raise RegoError(_message(str(error))) from None
            if not output.ok():
                raise RegoError(_first_error(output.node()))
            return _value(str(output))


def _value(text: str) -> Any:
    """The one expression of an answer; refuses what a badly escaped string could have put in."""
    if text == "undefined":
        return None
    found = json.loads(text, object_pairs_hook=_unique)
    if list(found) != ["expressions"] or len(found["expressions"]) != 1:
        raise RegoError("the answer has not exactly one value")
    return found["expressions"][0]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RegoError("the answer has a name twice")
    return found


def engine_name() -> str:
    """What decisions say about who decided."""
    import regopy

    return f"embedded regopy {regopy.__version__}"


def is_builtin(name: str) -> bool:
    """Whether rego-cpp knows a function of that name."""
    import regopy

    return bool(regopy.Interpreter().is_builtin(name))


_ERROR = re.compile(r"\(error \d+:(?P<file>[^|\n]*)\|(?P<offset>\d+)\|\d+\s*\(errormsg \d+:(?P<message>[^\n]*)\)")


def _compile_error(text: str, modules: Mapping[str, str]) -> RegoError:
    found = _ERROR.search(text)
    if found is None:
        return RegoError(_message(text))
    file, offset = found["file"], int(found["offset"])
    line = modules.get(file, "").encode()[:offset].count(b"\n") + 1
    return RegoError(found["message"], file=file, line=line)


def _message(text: str) -> str:
    found = re.search(r"\(errormsg \d+:([^\n]*)\)", text)
    return found[1] if found else text.strip().splitlines()[0][:300]


def _first_error(node: Any) -> str:
    """The first error message below a node of an error answer."""
    from regopy.node import Node
    from regopy.rego_shared import NodeKind, rego_node_get, rego_node_size, rego_node_value

    if node.kind == NodeKind.ErrorMessage:
        return str(rego_node_value(node._impl))
    for index in range(rego_node_size(node._impl)):
        if found := _first_error(Node(rego_node_get(node._impl, index))):
            return found
    return ""
