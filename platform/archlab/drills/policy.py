"""The policy engine dies: what is injected, what is checked, how it comes back. Chaos Toolkit's actions and probes."""

from __future__ import annotations

from archlab.drills.control import ENGINE, ControlPlane, failed_closed
from archlab.drills.probe import read_ledger
from archlab.drills.testbed import Testbed, the_testbed
from archlab.drills.waiting import wait
from archlab.errors import LabStateError
from archlab.recovery.runbook import Done, Step, carry_out
from archlab.spec.drill import Kind
from archlab.targets.logs import tail

RESTART = "restart the policy engine"
BACK_S = 30.0


def kill_policy_engine() -> None:
    """The policy engine dies; gate, registry and control stay up."""
    testbed = the_testbed()
    found = plane(testbed)
    testbed.inject("the policy engine is killed", "SIGKILL; registry and control stay up and can't ask it")
    testbed.end(ENGINE)
    found.engine_up = None


def restart_engine(testbed: Testbed) -> tuple[Done, ...]:
    """The runbook: the engine starts again, and the gate decides. Harmless when it runs.

    Raises:
        TargetError: it does not start, or changes are not decided in time.
    """
    found, log = plane(testbed), testbed.folder.log / f"{ENGINE}.log"

    def start() -> str:
        if found.engine_answers(BACK_S):
            return "it runs"
        testbed.start_engine()
        wait(lambda: found.engine_answers(1), "the policy engine", lambda: tail(log, 15), BACK_S)
        return "it runs, and knows no rules: the gate gives it the signed ones with its next question"

    def decided() -> str:
        wait(testbed.promotes, "a promotion", lambda: tail(log, 15), BACK_S)
        return "a promotion is decided and carried out"

    steps = (Step("start engine", start), Step("changes decided", decided))
    return carry_out(testbed.folder.root / "engine.json", RESTART, steps, testbed.note)


def changes_failed_closed() -> str:
    """While the engine was down every change was denied with its reason, on record; nothing was allowed.

    Raises:
        LabStateError: something was allowed, or nothing was on record.
    """
    testbed = the_testbed()
    found = plane(testbed)
    denied, allowed = failed_closed(found.decisions(), found.engine_up)
    if allowed:
        raise LabStateError(f"The gate allowed {allowed} changes while its policy engine was down.")
    if not denied:
        raise LabStateError("No change is on record as denied for want of the policy engine.")
    said = f"{denied} decisions, all of them no for want of the engine, and on record; none allowed meanwhile"
    testbed.note("failed closed", said)
    return said


def serving_went_on() -> str:
    """No answer to a caller depended on the policy engine.

    Raises:
        LabStateError: one failed since the fault.
    """
    testbed = the_testbed()
    since = testbed.faults[0].at
    seen = [a for a in read_ledger(testbed.ledger) if a.done >= since and a.kind is not Kind.PROMOTE]
    bad = [a for a in seen if not a.ok]
    if bad or not seen:
        outcomes = ", ".join(sorted({f"{a.kind.value} {a.outcome}" for a in bad})) or "nobody asked"
        raise LabStateError(f"{len(bad)} of {len(seen)} requests that need no decision failed: {outcomes}.")
    said = f"{len(seen):,} writes, reads and predictions since the fault, all answered as they should be"
    testbed.note("serving went on", said)
    return said


def restore_policy_engine() -> list[str]:
    """Whatever was done to it, the policy engine runs and decides."""
    return [f"{done.step}: {done.said} ({done.seconds:.2f} s)" for done in restart_engine(the_testbed())]


def plane(testbed: Testbed) -> ControlPlane:
    """The testbed's registry, control and policy engine.

    Raises:
        LabStateError: this drill has none.
    """
    if testbed.control is None:
        raise LabStateError("There is no gate in these regions.", "One drill has: archlab drill run policy-engine-down")
    return testbed.control
