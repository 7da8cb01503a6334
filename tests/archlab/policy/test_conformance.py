"""The embedded engine, its slices and a real OPA server give the same answers, whatever they are asked."""

from __future__ import annotations

from collections import Counter

import pytest

from archlab.policy.answers import decision_from
from archlab.policy.bundle import ENTRY, load, publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.interpreter import Program
from archlab.policy.opa import OpaEngine
from archlab.settings import LabFolder
from archlab.spec.policy import Decision
from opa_server import OPA, WITHOUT, opa_server
from policy_queries import GOOD, damaged, good

ADMISSION = "admission/deploy"
FAILED = {"rule_error", "engine_error"}


def codes(decision: Decision) -> Counter[tuple[str, str]]:
    return Counter((reason.rule, reason.code) for reason in decision.reasons)


@pytest.mark.parametrize("action", GOOD)
def test_good_queries_pass(folder: LabFolder, action: str) -> None:
    publish(folder)
    decision = EmbeddedEngine(folder).decide(good(action))
    assert decision.allow, decision.reasons


def test_every_action_of_the_rules_has_a_good_query(folder: LabFolder) -> None:
    publish(folder)
    assert {action for rule in load(folder).bundle.rules for action in rule.actions} == GOOD.keys()


def test_a_slice_decides_as_the_whole(folder: LabFolder) -> None:
    publish(folder)
    engine, signed = EmbeddedEngine(folder), load(folder)
    whole = Program(signed.bundle.modules, ENTRY)
    allowed = waived = 0
    for query in damaged(seed=1, count=300):
        if query.action == ADMISSION:
            continue
        decision = engine.decide(query)
        answer = decision_from(
            whole.evaluate(query.model_dump_json()), engine=decision.engine, bundle_digest=decision.bundle_digest
        )
        assert (decision.allow, set(decision.reasons)) == (answer.allow, set(answer.reasons)), query
        assert decision.exceptions == answer.exceptions, query
        allowed += decision.allow
        waived += bool(decision.exceptions)
    assert 30 < allowed < 270
    assert waived


@pytest.mark.slow
@pytest.mark.skipif(OPA is None, reason=WITHOUT)
@pytest.mark.parametrize("seed", range(4))
def test_both_engines_agree_on_thousands_of_queries(folder: LabFolder, seed: int) -> None:
    publish(folder)
    embedded, verdicts, waived = EmbeddedEngine(folder), Counter[bool](), 0
    with opa_server() as url:
        opa = OpaEngine(folder, url)
        for query in damaged(seed=seed, count=1000):
            ours, theirs = embedded.decide(query), opa.decide(query)
            assert ours.engine.startswith("embedded regopy")
            assert theirs.engine == f"opa at {url}"
            assert ours.bundle_digest == theirs.bundle_digest
            assert ours.allow == theirs.allow, query
            if query.action == ADMISSION and FAILED & {reason.code for reason in ours.reasons + theirs.reasons}:
                continue  # no workload has such types; both engines deny, each with its own error
            assert codes(ours) == codes(theirs), query
            assert ours.exceptions == theirs.exceptions, query
            verdicts[ours.allow] += 1
            waived += bool(ours.exceptions)
        opa.close()
    assert min(verdicts.values()) > 50
    assert waived > 2
