from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

import pytest

from archlab.errors import UnavailableError
from archlab.identity import create_keys
from archlab.policy import chain
from archlab.registry.recorder import ControlRecorder
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, PolicyResource, Query, Subject
from gated_registry import BUSINESS_NOW, Control

QUERY = Query(
    subject=Subject(user="ada", team="operations", roles=()),
    action="access/write",
    resource=PolicyResource(kind="registered-model", name="m"),
    evidence={},
    time=BUSINESS_NOW,
)
DENIAL = Decision(allow=False, reasons=(), engine="test", bundle_digest="")


def test_decisions_are_chained_in_order(folder: LabFolder, control: Control) -> None:
    async def record() -> tuple[datetime, list[int]]:
        recorder = ControlRecorder(folder)
        try:
            found = [await recorder.record(QUERY, DENIAL) for _ in range(3)]
            await recorder.promoted()
            return await recorder.business_time(), [r.sequence for r in found]
        finally:
            await recorder.close()

    told = control.reconciled
    now, sequences = asyncio.run(record())
    assert now == BUSINESS_NOW
    assert sequences == list(range(sequences[0], sequences[0] + 3))
    assert control.reconciled == told + 1
    assert chain.verify(control.records) == []


@pytest.mark.parametrize("moved_s", [-86_400, 8 * 3_600])
def test_a_clock_that_was_set_or_a_night_asleep_costs_no_decision(
    folder: LabFolder, control: Control, monkeypatch: pytest.MonkeyPatch, moved_s: int
) -> None:
    """The recorder's token is of a wall clock that shows another time now; the monotonic one did not move."""
    now = time.time()

    async def ask() -> datetime:
        recorder = ControlRecorder(folder)
        try:
            with monkeypatch.context() as before:
                before.setattr(time, "time", lambda: now - moved_s)
                first = recorder._bearer()
            await recorder.record(QUERY, DENIAL)
            assert recorder._bearer() != first
            assert recorder._bearer() == recorder._bearer()
            return await recorder.business_time()
        finally:
            await recorder.close()

    assert asyncio.run(ask()) == BUSINESS_NOW


def test_nobody_on_the_socket_is_unavailable(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path / "nobody")
    create_keys(folder)

    async def ask() -> None:
        recorder = ControlRecorder(folder)
        try:
            await recorder.business_time()
        finally:
            await recorder.close()

    with pytest.raises(UnavailableError, match="Control does not answer /clock"):
        asyncio.run(ask())
