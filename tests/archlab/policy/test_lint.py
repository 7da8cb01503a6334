from __future__ import annotations

from pathlib import Path

import pytest

from archlab.policy import lint
from archlab.policy.interpreter import is_builtin
from archlab.policy.sources import RuleSource, Source
from archlab.policy.statements import split_tests, statements

HEADER = "package archlab.rules.a.b\n\nimport rego.v1\n\n"


def faults(text: str) -> list[tuple[int, str]]:
    rule = RuleSource("a", "b", "lab", (Source("a/b/b.rego", Path("b.rego"), HEADER + text),))
    return [(fault.line, fault.message.partition(";")[0]) for fault in lint.faults(rule, is_builtin)]


@pytest.mark.parametrize(
    "text",
    [
        "default allow := false\n\nallow if input.x\n",
        "import data.other as friend\n\nallow if friend.x\n",
        "allow if {\n\tsome key, value in input.x\n\tkey == value\n}\n",
        "allow if {\n\tevery item in input.x {\n\t\titem > 1\n\t}\n}\n",
        'allow if {\n\t[left, right] := split(input.x, "/")\n\tleft == right\n}\n',
        "near(a, b) if abs(a - b) < 1\n\nallow if near(1, 2)\n",
        "names := {x.name | some x in input.list}\n\nallow if count(names) > 0\n",
        'allow if `raw } text` == "quoted # { text"\n',
        "# comment with words\nallow if time.parse_rfc3339_ns(input.t) > 0 # more words\n",
        'found[name] := rule if {\n\tsome name, rule in input.x\n}\n\nallow if found["a"]\n',
        "allow if {\n\ttrue\n} else := false\n",
    ],
)
def test_sound_rules_have_no_faults(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("allow if input.x > limit\n", 5, "limit is never given a value"),
        ("allow if {\n\tnot inptu.x\n}\n", 6, "inptu is never given a value"),
        ("allow if input.list[i] == 1\n", 5, "i is never given a value"),
        ("allow if tine.now_ns() > 1\n", 5, "there is no function tine.now_ns"),
        ("allow {\n\tinput.x\n}\n", 5, "write `if` before the body of allow"),
    ],
)
def test_faults_have_their_line(text: str, line: int, fault: str) -> None:
    assert (line, fault) in faults(text)


def test_statements_end_where_no_bracket_is_open() -> None:
    assert list(statements('a := {\n"x": "}\\n{"}\nb := `\n`')) == ['a := {\n"x": "}\\n{"}', "b := `\n`"]


def test_tests_are_cut_into_assertions() -> None:
    kept, (first, second) = split_tests(
        "package p\n\nhelper := 1\n\n"
        "test_one if {\n\tnot rule.allow with input as f({\n\t\t1\n\t})\n\tx == 1\n}\n"
        "test_two if y\n"
    )
    assert "helper := 1" in kept
    assert "test_" not in kept
    assert [(a.expression, "".join(a.given.split())) for a in first.assertions] == [
        ("not rule.allow", "f({1})"),
        ("x == 1", ""),
    ]
    assert second.assertions[0].expression == "y"
