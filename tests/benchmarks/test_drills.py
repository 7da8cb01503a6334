"""The proof of `make drills`, with fewer kills."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.drills import kills, whole_pair

from archlab.spec.drill import Posture, Replication
from recovery_pair import programs_or_skip

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs_or_skip()
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))


@pytest.mark.usefixtures("home")
def test_synchronous_replication_loses_nothing_over_five_kills_of_either_region() -> None:
    with whole_pair(Posture(latency_ms=2)) as (testbed, ledger):
        found = list(kills(testbed, ledger, 5, seed=1))
    assert [k.region for k in found] == ["east", "west", "east", "west", "east"]
    assert [k.lost for k in found] == [()] * 5
    assert all(k.back_s for k in found)
    assert found[-1].acknowledged > found[0].acknowledged > 0


@pytest.mark.usefixtures("home")
def test_the_same_proof_finds_what_asynchronous_replication_loses() -> None:
    posture = Posture(latency_ms=300, replication=Replication.ASYNCHRONOUS, accept_data_loss=True)
    with whole_pair(posture) as (testbed, ledger):
        (kill,) = kills(testbed, ledger, 1, seed=1)
    assert kill.lost, "what was on its way for 300 ms was acknowledged, and is gone"
