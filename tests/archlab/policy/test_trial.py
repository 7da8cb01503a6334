"""One submitted rule: decided by the embedded engine and, where there is one, by OPA; they have to agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archlab.policy.trial import OPA, try_rule
from archlab.spec.policy import Query
from opa_server import OPA as PROGRAM
from opa_server import WITHOUT

RULE = """\
package archlab.rules.promotion.own

import rego.v1

actions := {"promotion/champion"}

allow if input.evidence.version.value >= input.evidence.champion.value
"""


def _inputs(good: Query) -> list[dict[str, Any]]:
    """Better, worse, and one that lacks the value."""
    better = good.model_dump(mode="json")
    worse, lacking = good.model_dump(mode="json"), good.model_dump(mode="json")
    worse["evidence"]["version"]["value"] = 0.5
    del lacking["evidence"]["version"]["value"]
    return [better, worse, lacking]


@pytest.mark.skipif(PROGRAM is None, reason=WITHOUT)
def test_opa_decides_as_the_embedded_engine_does_and_both_are_named(
    good: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OPA, raising=False)
    tried = try_rule("promotion/own", RULE, _inputs(good))
    assert (tried.refused, tried.said) == ("", ("allow", "deny", "deny"))
    assert len(tried.engines) == 2
    assert tried.engines[1] == "opa (opa eval)"


def test_without_opa_only_the_embedded_engine_is_named(good: Query, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OPA, raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    tried = try_rule("promotion/own", RULE, _inputs(good))
    assert tried.said == ("allow", "deny", "deny")
    assert len(tried.engines) == 1


@pytest.mark.parametrize("says", ["exit 2", "echo '{'", "cat > /dev/null; echo '{}'"])
def test_an_opa_that_fails_or_disagrees_decides_nothing_rightly(
    good: Query, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str
) -> None:
    program = tmp_path / "opa"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv(OPA, str(program))
    tried = try_rule("promotion/own", RULE, _inputs(good))
    assert tried.said[0] == "error"
    assert tried.engines[1] == "opa (opa eval)"
