"""Whether rules may be published: linted, compiled and tried in a process of their own, since rego-cpp can end it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from archlab.errors import SpecError
from archlab.policy import index, lint
from archlab.policy.confine import confine
from archlab.policy.index import RuleFacts
from archlab.policy.interpreter import Program, RegoError, is_builtin
from archlab.policy.sources import RuleSource

TRIAL_TIMEOUT_S = 30
REMEDY = "Correct it and run: archlab policy apply"


def check(sources: Sequence[RuleSource], core_modules: Mapping[str, str]) -> list[RuleFacts]:
    """What each rule declares, all of them found sound.

    Raises:
        SpecError: a rule can't be published; the message names file and line, or the rule.
    """
    for rule in sources:
        for fault in lint.faults(rule, is_builtin):
            raise SpecError(f"{_path(rule, fault.key)}:{fault.line}: {fault.message}.", REMEDY)
    modules = dict(core_modules) | {source.key: source.text for rule in sources for source in rule.files}
    declared = _trial({"modules": modules, "rules": [rule.package for rule in sources]}, sources)
    facts = [_facts(rule, declared[rule.package]) for rule in sources]
    whole = {**modules, "archlab/index.rego": index.generate(facts)}
    _trial({"modules": whole, "rules": []}, sources)
    return facts


def _trial(request: dict[str, Any], sources: Sequence[RuleSource]) -> dict[str, Any]:
    """Compile and evaluate elsewhere; what each rule's package evaluates to for an empty input."""
    command = [sys.executable, "-m", "archlab.policy.check"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=TRIAL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise SpecError(f"The rules did not compile within {TRIAL_TIMEOUT_S} s.", REMEDY) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SpecError(f"The rules can't be compiled: the interpreter ended ({last}).", REMEDY)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if fault := answer.get("fault"):
        raise SpecError(_describe(fault, sources), REMEDY)
    found: dict[str, Any] = answer["values"]
    return found


def _describe(fault: dict[str, Any], sources: Sequence[RuleSource]) -> str:
    for rule in sources:
        if rule.package == fault["package"]:
            return f"{rule.files[0].path.parent / (rule.name + '.rego')}: {fault['message']}."
        for source in rule.files:
            if source.key == fault["file"]:
                return f"{source.path}:{fault['line']}: {fault['message']}."
    return f"{fault['file'] or 'the bundle'}:{fault['line']}: {fault['message']}."


def _facts(rule: RuleSource, value: Any) -> RuleFacts:
    document = value if isinstance(value, dict) else {}
    actions = _strings(rule, document, "actions", r"^[a-z_]+/[a-z_]+$")
    requires = _strings(rule, document, "requires", index.FIELD)
    return RuleFacts(rule.area, rule.name, rule.origin, actions, requires, _flag(rule, document, "waivable"))


def _flag(rule: RuleSource, document: dict[str, Any], name: str) -> bool:
    found = document.get(name, False)
    if isinstance(found, bool):
        return found
    where = rule.files[0].path.parent / f"{rule.name}.rego"
    raise SpecError(f"{where}: `{name}` has to be the constant true or false; found {found!r}.", REMEDY)


def _strings(rule: RuleSource, document: dict[str, Any], name: str, pattern: str) -> tuple[str, ...]:
    found = document.get(name, [])
    if isinstance(found, list) and all(isinstance(item, str) and re.match(pattern, item) for item in found):
        return tuple(sorted(found))
    where = rule.files[0].path.parent / f"{rule.name}.rego"
    raise SpecError(f"{where}: `{name}` has to be a set of constants such as {pattern}; found {found!r}.", REMEDY)


def _path(rule: RuleSource, key: str) -> str:
    return next(str(source.path) for source in rule.files if source.key == key)


def _evaluate(request: dict[str, Any]) -> dict[str, Any]:
    modules, values = request["modules"], {}
    package = ""
    try:
        Program(modules, "data.archlab.decision").evaluate("{}")
        for package in request["rules"]:
            own = {
                name: text
                for name, text in modules.items()
                if re.search(rf"^package {re.escape(package)}$", text, re.M)
            }
            values[package] = Program(own, f"data.{package}").evaluate("{}")
    except RegoError as error:
        return {"fault": {"file": error.file, "line": error.line, "package": package, "message": error.message}}
    return {"values": values}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    confine(TRIAL_TIMEOUT_S)
    sys.stdout.write("\n" + json.dumps(_evaluate(asked)) + "\n")
