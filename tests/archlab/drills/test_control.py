"""A gate in a drill: the policy engine's own process, what is denied without it, and a whole drill in which it dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from archlab.drills.control import ControlPlane, failed_closed
from archlab.drills.run import run
from archlab.policy import chain
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.opa import OpaEngine
from archlab.settings import LabFolder
from archlab.spec.drill import Kind, Objectives, Posture, Verdict
from archlab.spec.policy import Decision, DecisionRecord, PolicyResource, Query, Reason, Subject
from gated_registry import wait_for
from ports_for_tests import free_port

FAULT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def query(action: str, *roles: str) -> Query:
    subject = Subject(user="ada", team="operations", roles=roles)
    resource = PolicyResource(kind="registered-model", name="departure-delay", team="operations")
    return Query(subject=subject, action=action, resource=resource, evidence={}, time=FAULT)


@contextmanager
def engine(port: int) -> Iterator[None]:
    """The process that a drill starts where there is no OPA."""
    argv = [sys.executable, "-m", "uvicorn", "archlab.drills.engine:app", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(argv) as process:
        try:
            wait_for(lambda: _healthy(port), "the engine")
            yield
        finally:
            process.kill()


def _healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def test_the_engines_process_decides_like_the_embedded_one_and_without_it_everything_is_denied(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "lab")
    folder.root.mkdir()
    plane = ControlPlane.lay_out(folder, free_port())
    plane.prepare()
    asked, embedded = OpaEngine(folder, plane.engine_url), EmbeddedEngine(folder)
    actions = (("access/write", "developer"), ("access/write", "viewer"), ("promotion/champion", "developer"))
    queries = [query(*action) for action in actions]
    decided = [embedded.decide(one) for one in queries]
    assert [d.allow for d in decided] == [True, False, False]
    for _ in range(2):  # what was started again knows no rules, and is given them
        with engine(plane.engine_port):
            assert plane.engine_answers(1)
            wait_for(lambda: asked.decide(queries[0]).allow, "its rules are compiled", timeout_s=30)
            found = [asked.decide(one) for one in queries]
        assert [(d.allow, d.reasons) for d in found] == [(d.allow, d.reasons) for d in decided]
        assert not plane.engine_answers(1)
        denied = asked.decide(queries[0])
        assert (denied.allow, denied.reasons[0].code) == (False, "engine_unreachable")
    asked.close()


def log(*told: str) -> list[DecisionRecord]:
    """Decisions a second apart: `yes`, `no` for a rule's reason, or the code of an engine's failure."""
    found: list[DecisionRecord] = []
    for second, what in enumerate(told):
        reasons = () if what == "yes" else (Reason(rule="r/r", code=what, message="m"),)
        decision = Decision(allow=what == "yes", reasons=reasons, engine="opa", bundle_digest="")
        now = FAULT + timedelta(seconds=second)
        previous = found[-1] if found else None
        asked = query("promotion/champion", "developer")
        found.append(chain.append(previous, asked, decision, wall_time=now, business_time=now))
    return found


@pytest.mark.parametrize(
    ("told", "up_s", "denied", "allowed"),
    [
        (["yes", "engine_unreachable", "engine_unreachable", "yes"], 3, 2, 0),
        (["yes", "engine_unreachable", "no", "yes"], 3, 1, 0),
        (["yes", "engine_unreachable", "yes", "yes"], 3, 1, 1),
        (["yes", "engine_unreachable", "yes"], None, 1, 1),
        (["yes", "yes", "no"], None, 0, 0),
    ],
)
def test_what_was_allowed_without_an_engine_is_found_out(
    told: list[str], up_s: int | None, denied: int, allowed: int
) -> None:
    up = None if up_s is None else FAULT + timedelta(seconds=up_s)
    assert failed_closed(log(*told), up) == (denied, allowed)


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_while_the_policy_engine_is_down_changes_are_refused_on_record_and_answers_go_on() -> None:
    wanted = Objectives(rto_s=120)  # how soon is this machine's business
    _, report = run("policy-engine-down", Posture(latency_ms=2), lambda *_: None, objectives=wanted, control_s=1)
    assert (report.verdict, report.reasons) == (Verdict.GREEN, ())
    seen = report.measured
    assert seen
    assert report.about is Kind.PROMOTE
    assert "denied" in seen.errors
    assert set(seen.errors) <= {"denied", "timeout"}, "nothing else failed; a busy machine may be late"
    assert seen.rto_s
    assert seen.detection_s
    assert (seen.read_rto_s, seen.lost) == (0.0, ())
    told = {event.name: event.detail for event in report.events}
    assert "none allowed meanwhile" in told["failed closed"]
    assert "all answered" in told["serving went on"]
    assert list(told).index("start engine") < list(told).index("rollbacks begin")
