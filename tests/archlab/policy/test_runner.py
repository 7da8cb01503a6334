"""The runner of Rego tests fails what is false."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.policy import test as rego

RULE = "package r\n\nimport rego.v1\n\ndefault allow := false\n\nallow if input.a == 1\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "r.rego").write_text(RULE)
    found = tmp_path / "r_test.rego"
    found.write_text(
        "package r_test\n\nimport data.r\nimport rego.v1\n\n"
        'test_right if r.allow with input as {"a": 1}\n\n'
        'test_wrong if r.allow with input as {"a": 2}\n\n'
        'test_second_line_wrong if {\n\tr.allow with input as {"a": 1}\n\tnot r.allow with input as {"a": 1}\n}\n\n'
        "test_no_input if r.allow with input as r.nothing\n"
    )
    return found


def test_outcomes(file: Path) -> None:
    outcomes = {outcome.name: outcome for outcome in rego.run(file)}
    assert [name for name, outcome in outcomes.items() if outcome.passed] == ["test_right"]
    assert outcomes["test_second_line_wrong"].detail == "not true: not r.allow"
    assert "undefined" in outcomes["test_no_input"].detail


def test_exit_code(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rego.main([str(file.parent)]) == 1
    assert "1 passed, 3 failed" in capsys.readouterr().out
    file.write_text('package r_test\n\nimport data.r\n\ntest_right if r.allow with input as {"a": 1}\n')
    assert rego.main([str(file.parent)]) == 0
    file.unlink()
    assert rego.main([str(file.parent)]) == 1
