"""Runs Rego tests without the opa program: `python -m archlab.policy.test [FOLDER]`.

A test is a rule `test_…` in a file `*_test.rego`, in a package of its own; it passes when every line of its body is
true. rego-cpp 1.5 ends the process on most uses of `with`, so a line `EXPRESSION with input as VALUE` takes two
steps: VALUE is evaluated, then EXPRESSION with that as the real input. Lines may not share variables. `opa test FOLDER`
runs the same files. Each file gets a process of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from archlab.errors import UserError
from archlab.policy.interpreter import Program, RegoError
from archlab.policy.slices import references
from archlab.policy.statements import Assertion, RegoTest, split_tests
from archlab.settings import data_root

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test's result."""

    file: str
    name: str
    passed: bool
    detail: str
    """Why it did not pass."""


def test_files(folder: Path) -> list[Path]:
    """Test files under a folder."""
    return sorted(folder.rglob("*_test.rego"))


def test_names(file: Path) -> list[str]:
    """The tests of a file, in order."""
    return [test.name for test in split_tests(file.read_text())[1]]


def run(file: Path) -> list[Outcome]:
    """Run one file's tests, with the rule of its folder and those that it refers to."""
    command = [sys.executable, "-m", "archlab.policy.test", "--worker", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [Outcome(str(file), name, False, f"the interpreter ended: {last}") for name in test_names(file)]
    return [Outcome(**found) for found in json.loads(done.stdout.splitlines()[-1])]


def _work(file: Path) -> list[Outcome]:
    text, tests = split_tests(file.read_text())
    found = re.search(r"^package\s+([\w.]+)", text, re.MULTILINE)
    if found is None:
        raise UserError(f"{file}: it has no package.")
    suite = _Suite(_modules(file.parent), file.name, found[1], text)
    return [_outcome(file, suite, test) for test in tests]


def _modules(folder: Path) -> dict[str, str]:
    """The rule of a folder, and the rules that it refers to: beside it, or built in."""
    found: dict[str, str] = {}
    todo, seen = [folder], set[Path]()
    while todo:
        seen.add(here := todo.pop())
        for path in here.glob("*.rego"):
            if not path.name.endswith("_test.rego"):
                text = found[str(path)] = path.read_text()
                todo += [at for named in references(text) if (at := _folder_of(named, folder.parents[1])) not in seen]
    return found


def _folder_of(rule: str, root: Path) -> Path:
    return next((at for at in (root / rule, data_root("policies") / rule) if at.is_dir()), root / rule)


def _outcome(file: Path, suite: _Suite, test: RegoTest) -> Outcome:
    try:
        broken = next((a.expression for a in test.assertions if not suite.holds(a)), None)
    except RegoError as error:
        broken = f"{error.file}:{error.line}: {error.message}" if error.file else error.message
    return Outcome(str(file), test.name, broken is None, "" if broken is None else f"not true: {broken}")


@dataclass(frozen=True, slots=True)
class _Suite:
    """A test file's helpers beside the rule, where expressions are evaluated."""

    modules: Mapping[str, str]
    name: str
    package: str
    text: str

    def holds(self, assertion: Assertion) -> bool:
        given = self._evaluate(f"probe := {assertion.given}", "{}") if assertion.given else {}
        if given is None:
            raise RegoError(f"the input is undefined: {assertion.given}")
        return self._evaluate(f"probe if {{\n\t{assertion.expression}\n}}", json.dumps(given)) is True

    def _evaluate(self, probe: str, document: str) -> Any:
        modules = {**self.modules, self.name: f"{self.text}\n{probe}\n"}
        return Program(modules, f"data.{self.package}.probe").evaluate(document)


def main(arguments: Sequence[str]) -> int:
    """Print a line for each test under a folder (default: the built-in rules); 1 when one fails or there is none."""
    if arguments[:1] == ["--worker"]:
        sys.stdout.write("\n" + json.dumps([asdict(outcome) for outcome in _work(Path(arguments[1]))]) + "\n")
        return 0
    folder = Path(arguments[0]) if arguments else data_root("policies")
    outcomes = [outcome for file in test_files(folder) for outcome in run(file)]
    for outcome in outcomes:
        sys.stdout.write(f"{'pass' if outcome.passed else 'FAIL'}  {outcome.file}  {outcome.name}  {outcome.detail}\n")
    failed = sum(not outcome.passed for outcome in outcomes)
    sys.stdout.write(f"{len(outcomes) - failed} passed, {failed} failed\n")
    return 0 if outcomes and not failed else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
