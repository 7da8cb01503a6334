"""Rego text cut into statements, and tests into the lines they assert."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from archlab.policy.lint import LEXEME


@dataclass(frozen=True, slots=True)
class Assertion:
    """One line of a test: an expression, and the Rego expression of the input that it is asked with (may be empty)."""

    expression: str
    given: str


@dataclass(frozen=True, slots=True)
class RegoTest:
    """One `test_…` rule."""

    name: str
    assertions: tuple[Assertion, ...]


def statements(text: str, separators: str = "\n") -> Iterator[str]:
    """Parts between separators that no bracket encloses; comments left out."""
    depth, part = 0, ""
    for match in LEXEME.finditer(text):
        lexeme = match[0]
        if lexeme.startswith("#"):
            continue
        if match.lastgroup == "sign":
            depth += (lexeme in "([{") - (lexeme in ")]}")
        if depth == 0 and lexeme in separators:
            yield part
            part = ""
        else:
            part += lexeme
    yield part


def split_tests(text: str) -> tuple[str, tuple[RegoTest, ...]]:
    """A test file without its tests, and the tests."""
    kept: list[str] = []
    tests: list[RegoTest] = []
    for statement in statements(text):
        if found := re.match(r"(test_\w+)\s+if\s+(.*)", statement, re.DOTALL):
            tests.append(RegoTest(found[1], tuple(_assertions(found[2].strip()))))
        else:
            kept.append(statement)
    return "\n".join(kept), tuple(tests)


def _assertions(body: str) -> Iterator[Assertion]:
    inner = body[1:-1] if body.startswith("{") and body.endswith("}") else body
    for line in statements(inner, "\n;"):
        if line.strip():
            expression, _, given = line.strip().partition(" with input as ")
            yield Assertion(expression.strip(), given.strip())
