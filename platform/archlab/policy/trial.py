"""One submitted rule against many inputs: checked, then decided in a confined process, and by OPA where there is one.

The rule stands alone in its bundle: `requires` and the decision document mean what they mean at the gate, and no other
rule answers for it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from archlab.errors import ArchlabError, SpecError
from archlab.policy import lint
from archlab.policy.answers import decision_from
from archlab.policy.bundle import ENTRY, PolicyBundle, build
from archlab.policy.confine import confine
from archlab.policy.interpreter import Program, RegoError, engine_name
from archlab.policy.sources import RuleSource, Source, core
from archlab.settings import data_root

Said = Literal["allow", "deny", "error"]

CPU_S = 10
WALL_S = 20
OPA = "ARCHLAB_OPA"
"""Names the opa program; without it the one on PATH is taken, if there is one."""

IMPURE = ("http.", "net.", "opa.", "time.now_ns", "rand.", "uuid.", "rego.", "trace", "print", "io.jwt.")
"""Functions that reach out of the rule, or answer differently each time: a decision has to be repeatable."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a rule."""

    refused: str
    """Why it was not run; empty when it was."""
    engines: tuple[str, ...]
    said: tuple[Said, ...]
    """Per input, in order."""


def try_rule(rule: str, text: str, inputs: Sequence[Mapping[str, Any]]) -> Tried:
    """Decide every input by the rule `AREA/NAME` with this text.

    Never raises for a faulty rule: it is refused, or an input's answer is `error`; so it is where engines disagree.
    """
    source = _source(rule, text)
    try:
        _refuse_impure(source)
        bundle = build([source], {module.key: module.text for module in core(data_root("policies"))})
    except SpecError as error:
        return Tried(error.message, (), ())
    documents = [json.dumps(one, allow_nan=False) for one in inputs]
    embedded, fault = _embedded(bundle, documents)
    if fault:
        return Tried(fault, (), ())
    other = _opa(bundle, documents)
    if other is None:
        return Tried("", (engine_name(),), embedded)
    name, said = other
    agreed = tuple(a if a == b else "error" for a, b in zip(embedded, said, strict=True))
    return Tried("", (engine_name(), name), agreed)


def _source(rule: str, text: str) -> RuleSource:
    area, name = rule.split("/")
    file = Path(f"{name}.rego")
    return RuleSource(area, name, "lab", (Source(f"{area}/{name}/{name}.rego", file, text),))


def _refuse_impure(source: RuleSource) -> None:
    """Raises SpecError for a call of a function that is not repeatable; names its line."""
    found = lint.tokens(source.files[0].text)
    for index, token in enumerate(found):
        if not token.is_name or (index and found[index - 1].text == "."):
            continue
        called, end = _reference(found, index)
        is_call = end < len(found) and found[end].text == "("
        if is_call and any(called == name or (name.endswith(".") and called.startswith(name)) for name in IMPURE):
            raise SpecError(
                f"{source.name}.rego:{token.line}: {called} is not allowed: a decision has to be repeatable."
            )


def _reference(found: Sequence[lint.Token], index: int) -> tuple[str, int]:
    """`a.b.c` that starts at a token, and the index of what follows it."""
    text = found[index].text
    while index + 2 < len(found) and found[index + 1].text == "." and found[index + 2].is_name:
        index += 2
        text += f".{found[index].text}"
    return text, index + 1


def _embedded(bundle: PolicyBundle, documents: Sequence[str]) -> tuple[tuple[Said, ...], str]:
    """Answers by rego-cpp in a process of its own; or why there are none."""
    request = json.dumps({"modules": bundle.modules, "inputs": documents})
    command = [sys.executable, "-m", "archlab.policy.trial"]
    try:
        done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=WALL_S, check=False)
    except subprocess.TimeoutExpired:
        return (), f"The rule did not decide {len(documents)} inputs within {WALL_S} s."
    if done.returncode != 0 or not done.stdout.strip():
        return (), f"The rule went beyond {CPU_S} s or the memory it may use, or ended the interpreter."
    answers: list[Said] = json.loads(done.stdout.splitlines()[-1])
    return tuple(answers), ""


def _opa(bundle: PolicyBundle, documents: Sequence[str]) -> tuple[str, tuple[Said, ...]] | None:
    """Answers by the opa program; None where there is none."""
    program = os.environ.get(OPA) or shutil.which("opa")
    if not program:
        return None
    with tempfile.TemporaryDirectory(prefix="archlab-rule-") as name:
        folder = Path(name)
        for key, text in bundle.modules.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_text(text)
        listed = tuple(_ask_opa(program, folder, document) for document in documents)
    return f"opa ({Path(program).name} eval)", listed


def _ask_opa(program: str, folder: Path, document: str) -> Said:
    options = ["--format", "json", "--stdin-input", "--strict-builtin-errors", "--data", str(folder)]
    try:
        done = subprocess.run(
            [program, "eval", *options, ENTRY],
            input=document,
            capture_output=True,
            text=True,
            timeout=WALL_S,
            check=False,
        )
        result = json.loads(done.stdout).get("result", [])
        value = result[0]["expressions"][0]["value"] if result else None
    except (subprocess.TimeoutExpired, ValueError, LookupError, OSError):
        return "error"
    return _said(value) if done.returncode == 0 else "error"


def _said(value: Any) -> Said:
    try:
        return "allow" if decision_from(value, engine="", bundle_digest="").allow else "deny"
    except (ValueError, TypeError, KeyError):
        return "error"


def _decide(request: Mapping[str, Any]) -> list[Said]:
    program = Program(request["modules"], ENTRY)
    answers: list[Said] = []
    for document in request["inputs"]:
        try:
            answers.append(_said(program.evaluate(document)))
        except RegoError:
            answers.append("error")
    return answers


def main() -> None:
    """The confined process: modules and inputs on standard input, answers on standard output."""
    request = json.load(sys.stdin)
    confine(CPU_S)
    try:
        answers = _decide(request)
    except (ArchlabError, MemoryError):
        raise SystemExit(1) from None
    sys.stdout.write("\n" + json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
