"""What rego-cpp lets pass and a rule must not contain: checked on a rule's tokens before it is published.

rego-cpp accepts a misspelt variable (it is then simply undefined, and a `not` in front of it is true), a function that
does not exist, and a body without `if`; it ends the whole process on some uses of `with`. OPA's own compiler refuses
the first three. So that a rule means the same in both engines, they are faults here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from archlab.policy.sources import RuleSource, Source

KEYWORDS = frozenset(
    {"package", "import", "as", "default", "not", "some", "every", "in", "if", "else", "contains", "with"}
    | {"true", "false", "null", "input", "data", "_", "rego"}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a file."""

    key: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Token:
    """One word or sign; strings and numbers are `"` and `0`."""

    text: str
    line: int
    column: int
    depth: int
    """How many brackets are open around it."""

    @property
    def is_name(self) -> bool:
        """Whether it is a word."""
        return self.text[0].isalpha() or self.text[0] == "_"


LEXEME = re.compile(
    r'(?P<blank>[ \t\r]+|#[^\n]*)|(?P<newline>\n)|(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)'
    r"|(?P<number>\d[\w.]*)|(?P<name>[A-Za-z_]\w*)|(?P<sign>:=|==|!=|<=|>=|.)",
    re.DOTALL,
)


def tokens(text: str) -> list[Token]:
    """A Rego file as tokens, comments and blanks left out."""
    found: list[Token] = []
    line, start, depth = 1, 0, 0
    for match in LEXEME.finditer(text):
        kind, lexeme = match.lastgroup, match[0]
        if kind not in ("blank", "newline"):
            depth -= lexeme in (")", "]", "}")
            shown = {"string": '"', "number": "0"}.get(kind or "", lexeme)
            found.append(Token(shown, line, match.start() - start, depth))
            depth += lexeme in ("(", "[", "{")
        if breaks := lexeme.count("\n"):
            line, start = line + breaks, match.start() + lexeme.rindex("\n") + 1
    return found


def faults(rule: RuleSource, is_builtin: Callable[[str], bool]) -> list[Fault]:
    """Everything wrong with a rule's files, in the order of the files and lines."""
    found = [fault for source in rule.files for fault in _file_faults(source, rule.package, is_builtin)]
    main = next(source for source in rule.files if source.key.endswith(f"/{rule.name}.rego"))
    if "allow" not in _heads(tokens(main.text)):
        found.append(Fault(main.key, 1, "the rule defines no `allow`, so it could never let anything through"))
    return found


def _file_faults(source: Source, package: str, is_builtin: Callable[[str], bool]) -> Iterator[Fault]:
    found = tokens(source.text)
    words = [token.text for token in found]
    if "".join(words[1 : 2 + 2 * package.count(".")]) != package or words[:1] != ["package"]:
        yield Fault(source.key, 1, f"the package has to be `{package}`, as the folder says")
        return
    if not any(words[i : i + 4] == ["import", "rego", ".", "v1"] for i in range(len(words))):
        yield Fault(source.key, 1, "`import rego.v1` is missing")
        return
    yield from _statement_faults(source.key, found)
    yield from _name_faults(source.key, found, is_builtin)


def _statement_faults(key: str, found: list[Token]) -> Iterator[Fault]:
    for before, token in pairwise(found):
        if token.text == "with":
            yield Fault(key, token.line, "`with` belongs in tests, not in a rule")
        if token.text == "{" and token.depth == 0 and before.is_name and _opens_statement(before):
            yield Fault(key, token.line, f"write `if` before the body of {before.text}")


def _name_faults(key: str, found: list[Token], is_builtin: Callable[[str], bool]) -> Iterator[Fault]:
    known = KEYWORDS | _heads(found) | _imports(found) | _locals(found)
    declarations = {token.line for token in found if token.text in ("package", "import")}
    skip_until = -1
    for index, token in enumerate(found):
        if index <= skip_until or not token.is_name or token.line in declarations:
            continue
        skip_until = _end_of_reference(found, index)
        called = "".join(t.text for t in found[index : skip_until + 1])
        is_call = skip_until + 1 < len(found) and found[skip_until + 1].text == "("
        if token.text in known or (is_call and is_builtin(called)):
            continue
        if is_call:
            yield Fault(key, token.line, f"there is no function {called}")
        else:
            remedy = f"write `some {token.text}` or `{token.text} :=`, or check the spelling"
            yield Fault(key, token.line, f"{token.text} is never given a value; {remedy}")


def _end_of_reference(found: list[Token], index: int) -> int:
    """Index of the last token of `a.b.c`."""
    while index + 2 < len(found) and found[index + 1].text == "." and found[index + 2].is_name:
        index += 2
    return index


def _opens_statement(token: Token) -> bool:
    return token.column == 0 and token.depth == 0


def _heads(found: list[Token]) -> set[str]:
    """Names that the file defines: the word that opens a statement, or follows `default`."""
    heads: set[str] = set()
    for before, token in zip([None, *found], found, strict=False):
        after_default = before is not None and before.text == "default" and _opens_statement(before)
        if token.is_name and (_opens_statement(token) or after_default):
            heads.add(token.text)
    return heads - KEYWORDS


def _imports(found: list[Token]) -> set[str]:
    """Names that imports bring: the alias, or the last part."""
    names: set[str] = set()
    for index, token in enumerate(found):
        if token.text == "import" and _opens_statement(token):
            on_line = [t.text for t in found[index:] if t.line == token.line and t.is_name]
            names.add(on_line[-1])
    return names


def _locals(found: list[Token]) -> set[str]:
    """Names given a value in a body: by `some`, `every`, `:=` or `=`, or as a function's argument."""
    names: set[str] = set()
    for index, token in enumerate(found):
        if token.text in ("some", "every"):
            names |= _words_until(found, index + 1, token.line, {"in"})
        elif token.text in (":=", "="):
            names |= _words_before(found, index)
        elif token.text == "(" and token.depth == 0 and index and _opens_statement(found[index - 1]):
            names |= {t.text for t in _inside(found, index) if t.is_name}
    return names


def _words_until(found: list[Token], index: int, line: int, stops: set[str]) -> set[str]:
    names: set[str] = set()
    while index < len(found) and found[index].line == line and found[index].text not in stops:
        if found[index].text not in (",", "[", "]") and not found[index].is_name:
            break
        names |= {found[index].text} if found[index].is_name else set()
        index += 1
    return names


def _words_before(found: list[Token], index: int) -> set[str]:
    """The name left of an assignment, or the names of the pattern there."""
    left = found[index - 1]
    if left.is_name:
        return {left.text}
    names: set[str] = set()
    at = index - 1
    while left.text in ("]", "}") and at >= 0 and not (found[at].depth == left.depth and found[at].text in "[{"):
        names |= {found[at].text} if found[at].is_name else set()
        at -= 1
    return names


def _inside(found: list[Token], index: int) -> Iterator[Token]:
    for token in found[index + 1 :]:
        if token.depth <= found[index].depth:
            return
        yield token
