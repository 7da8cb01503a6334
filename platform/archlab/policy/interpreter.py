"""rego-cpp through its Python binding: modules in, one entry point asked many times.

What was learned of the binding (regopy 1.5) and is taken care of here: input goes in as a JSON *term*, because the
object interface rounds floats to six digits; answers are read from the tree of nodes, because their text form leaves
quotes unescaped that `sprintf` puts around computed strings; built-in errors are silent unless strict; an interpreter
is not safe for threads; loaded after numpy (so after MLflow or pandas), the library leaks every evaluation, 0.4 MB for
a promotion, so it is loaded with this module and this module is imported first.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

import regopy
from regopy import rego_shared as rego

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
        with self._lock:
            try:
                self._interpreter.set_input_term(document)
                output = rego.rego_bundle_query(self._interpreter._impl, self._bundle._impl)
            except regopy.RegoError as error:
                raise RegoError(_message(str(error))) from None
            try:
                return _answer(rego.rego_output_node(output))
            finally:
                rego.rego_free_output(output)


def _answer(node: Any) -> Any:
    """The single value of an answer's tree: Results, Result, Terms, value."""
    if rego.rego_node_type(node) == rego.NodeKind.Undefined:
        return None
    for expected in (rego.NodeKind.Results, rego.NodeKind.Result, rego.NodeKind.Terms):
        if rego.rego_node_type(node) != expected or rego.rego_node_size(node) == 0:
            raise RegoError(_first_error(node) or "the answer has no value")
        node = rego.rego_node_get(node, 0)
    return _python(node)


def _python(node: Any) -> Any:
    """A value's node as Python has it; sets become lists."""
    kind = rego.rego_node_type(node)
    children = [rego.rego_node_get(node, index) for index in range(rego.rego_node_size(node))]
    if kind in (rego.NodeKind.Term, rego.NodeKind.Scalar):
        return _python(children[0])
    if kind == rego.NodeKind.Object:
        pairs = ([rego.rego_node_get(child, index) for index in (0, 1)] for child in children)
        return {_python(key): _python(value) for key, value in pairs}
    if kind in (rego.NodeKind.Array, rego.NodeKind.Set):
        return [_python(child) for child in children]
    text = rego.rego_node_value(node)
    return _text(text) if kind == rego.NodeKind.String else json.loads(text or "null")


def _text(escaped: str) -> str:
    """A string as it was. rego-cpp keeps it JSON-escaped; a bare quote is one that it put round a computed string."""
    kept = re.sub(r'(\\.)|"', lambda found: found[1] or "", escaped, flags=re.DOTALL)
    try:
        return str(json.loads(f'"{kept}"', strict=False))
    except ValueError:
        return escaped


def engine_name() -> str:
    """What decisions say about who decided."""
    return f"embedded regopy {regopy.__version__}"


def is_builtin(name: str) -> bool:
    """Whether rego-cpp knows a function of that name."""
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
    if rego.rego_node_type(node) == rego.NodeKind.ErrorMessage:
        return str(rego.rego_node_value(node))
    children = (rego.rego_node_get(node, index) for index in range(rego.rego_node_size(node)))
    return next((found for child in children if (found := _first_error(child))), "")
