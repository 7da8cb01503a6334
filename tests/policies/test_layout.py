"""Every rule is a folder with rule, test and page; its tests pass in the embedded engine, and in OPA where it is."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from archlab.policy import test as rego
from archlab.policy.sources import RuleSource, core, rules
from archlab.settings import data_root, scenarios_root

BUILT_IN = data_root("policies")
SOLUTIONS = sorted(scenarios_root().glob("*/solution/policies"))
ROOTS = [BUILT_IN, *SOLUTIONS]
RULES = [rule for root in ROOTS for rule in rules(root, "built-in")]
HEADINGS = ["## Summary", "## Avoid", "## Prefer", "## Rationale"]
CASES = [(file, name) for root in ROOTS for file in rego.test_files(root) for name in rego.test_names(file)]
OPA = shutil.which("opa")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_has_a_test_and_a_page(rule: RuleSource) -> None:
    folder = rule.files[0].path.parent
    assert {path.name for path in folder.iterdir()} == {f"{rule.name}.rego", f"{rule.name}_test.rego", "README.md"}
    page = (folder / "README.md").read_text()
    assert page.startswith(f"# {rule.id}\n")
    assert [line for line in page.splitlines() if line.startswith("## ")] == HEADINGS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_rule_is_tested_both_ways_and_without_fields(rule: RuleSource) -> None:
    names = rego.test_names(rule.files[0].path.parent / f"{rule.name}_test.rego")
    for ending in ("allowed", "refused"):
        assert [name for name in names if name.endswith(f"_{ending}")], ending
    assert [name for name in names if "missing" in name]


def test_nothing_else_lies_in_the_policies() -> None:
    known = {source.path for rule in rules(BUILT_IN, "built-in") for source in rule.files}
    known |= {source.path for source in core(BUILT_IN)}
    found = {path for path in BUILT_IN.rglob("*.rego") if not path.name.endswith("_test.rego")}
    assert found == known


def test_what_the_learner_adds_is_not_built_in() -> None:
    assert "promotion/inputs_known_at_prediction" not in {rule.id for rule in rules(BUILT_IN, "built-in")}


def test_the_rules_asked_for_are_there() -> None:
    assert {rule.id for rule in rules(BUILT_IN, "built-in")} >= {
        "access/protected_tags",
        "access/registry_write",
        "admission/allowed_image",
        "admission/limits",
        "admission/not_privileged",
        "admission/team_label",
        "promotion/approved_by_another",
        "promotion/beats_baseline_and_champion",
        "promotion/evidence_complete_and_fresh",
        "promotion/onnx_matches",
    }


@cache
def _outcomes(file: Path) -> dict[str, rego.Outcome]:
    return {outcome.name: outcome for outcome in rego.run(file)}


@pytest.mark.parametrize(("file", "name"), CASES, ids=[f"{file.stem}-{name}" for file, name in CASES])
def test_rego(file: Path, name: str) -> None:
    outcome = _outcomes(file)[name]
    assert outcome.passed, outcome.detail


@pytest.mark.skipif(OPA is None, reason="there is no opa program on PATH; the embedded engine ran the same tests")
@pytest.mark.parametrize("arguments", [("check", "--strict"), ("fmt", "--fail", "--list"), ("test",)], ids=" ".join)
def test_opa_agrees(arguments: tuple[str, ...]) -> None:
    assert OPA is not None
    done = subprocess.run([OPA, *arguments, *map(str, ROOTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if arguments == ("test",):
        passed = re.search(r"PASS: (\d+)/\1$", done.stdout, re.MULTILINE)
        assert passed
        assert int(passed[1]) == len(CASES)
