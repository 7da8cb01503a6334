"""Replication, promotion, fencing and failback on real Postgres servers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from archlab.errors import ConflictError, TargetError, UnavailableError
from archlab.files import write_model
from archlab.recovery import fencing, replication, server
from archlab.recovery.shaping import Shape
from archlab.recovery.starting import DESCRIPTION, Description
from gated_registry import wait_for
from recovery_pair import EAST, WEST, Pair

pytestmark = pytest.mark.slow


def numbers(of: server.Server) -> int:
    (row,) = of.ask("SELECT count(*) FROM written")
    return int(row[0])


def commit_s(pair: Pair, number: int) -> float:
    """Seconds that a write takes."""
    began = time.monotonic()
    pair.write(1, first=number)
    return time.monotonic() - began


def test_a_server_is_private_and_stays_when_made_again(east: server.Server) -> None:
    assert east.data.stat().st_uid == os.geteuid()
    assert east.data.stat().st_mode & 0o077 == 0
    east.ask("INSERT INTO written VALUES (1)")
    server.create(east)
    server.start(east)
    assert numbers(east) == 1
    with pytest.raises(UnavailableError, match="nowhere"):
        east.ask("SELECT * FROM nowhere")


def test_a_number_that_another_process_got_since_is_not_the_server(east: server.Server) -> None:
    left_behind = (east.data / "postmaster.pid").read_text().partition("\n")[2]
    server.kill(east)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        (east.data / "postmaster.pid").write_text(f"{other.pid}\n{left_behind}")
        assert east.pid is None
        server.kill(east)
        assert other.poll() is None


def test_what_is_written_in_one_region_arrives_in_the_other(pair: Pair) -> None:
    pair.write(100)
    replication.wait_streaming(pair.east, [WEST])
    assert numbers(pair.west) == 100
    (follower,) = replication.followers(pair.east)
    assert (follower.name, follower.synchronous) == (WEST, False)
    with pytest.raises(UnavailableError, match="read-only"):
        pair.west.ask("INSERT INTO written VALUES (-1)")


def test_a_synchronous_commit_waits_for_the_other_region_and_blocks_without_it(pair: Pair) -> None:
    pair.shape(Shape(latency_ms=50))
    # on a busy machine any of them may take long; if they had to wait, none would take less than there and back
    assert min(commit_s(pair, number) for number in range(20)) < 0.1
    pair.synchronous(True)
    assert min(commit_s(pair, number) for number in range(20, 23)) >= 0.1
    pair.shape(Shape(cut=True))
    with pytest.raises(UnavailableError):
        pair.east.ask("INSERT INTO written VALUES (-2)", timeout_s=1)
    pair.shape(Shape())
    pair.synchronous(False)


def test_a_throttled_asynchronous_link_loses_what_was_acknowledged(pair: Pair) -> None:
    pair.shape(Shape(cut=True))
    pair.write(200)
    server.fence(pair.east, "the region is lost")
    pair.shape(Shape(cut=True), drop=True)
    replication.promote(pair.west)
    assert numbers(pair.west) == 0


def test_failback_undoes_what_only_the_lost_region_has(pair: Pair) -> None:
    pair.write(10)
    replication.wait_streaming(pair.east, [WEST])
    pair.shape(Shape(cut=True))
    pair.write(5, first=1000)
    server.fence(pair.east, "the region is lost")
    replication.promote(pair.west)
    pair.west.ask("INSERT INTO written VALUES (2000)")
    pair.shape(Shape(), drop=True)
    assert replication.rejoin(pair.east, pair.west, pair.links[EAST]) == "rewound"
    server.start(pair.east)
    replication.wait_streaming(pair.west, [EAST])
    assert numbers(pair.east) == numbers(pair.west) == 11
    assert not pair.east.is_primary


def test_a_fenced_primary_stays_dead_however_it_is_woken(pair: Pair) -> None:
    pid = pair.east.pid
    assert pid
    fencing.send(fencing.tree([pid]), signal.SIGSTOP)
    with pytest.raises(UnavailableError):
        pair.east.ask("SELECT 1", timeout_s=0.5)
    server.fence(pair.east, "it hangs, and west takes over")
    replication.promote(pair.west)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    with pytest.raises(ConflictError, match="it hangs, and west takes over"):
        server.start(pair.east)
    assert pair.west.is_primary


def test_without_a_fence_a_hung_primary_wakes_up_as_a_second_one(pair: Pair) -> None:
    pid = pair.east.pid
    assert pid
    hung = fencing.tree([pid])
    fencing.send(hung, signal.SIGSTOP)
    replication.promote(pair.west)
    fencing.send(hung, signal.SIGCONT)
    pair.write(1)
    assert pair.west.is_primary, "two primaries take writes: what fencing is for"
    assert (numbers(pair.east), numbers(pair.west)) == (1, 0)


def test_a_former_primary_that_can_t_be_rewound_is_cloned(pair: Pair) -> None:
    server.fence(pair.east, "lost")
    replication.promote(pair.west)
    (pair.east.data / "global" / "pg_control").unlink()
    assert replication.rejoin(pair.east, pair.west, pair.links[EAST]) == "cloned"
    server.start(pair.east)
    replication.wait_streaming(pair.west, [EAST])


def test_what_a_killed_rewind_left_is_cloned(pair: Pair) -> None:
    server.fence(pair.east, "lost")
    replication.promote(pair.west)
    (pair.east.folder / "rewinding").touch()
    assert replication.rejoin(pair.east, pair.west, pair.links[EAST]) == "cloned"
    server.start(pair.east)
    replication.wait_streaming(pair.west, [EAST])
    assert not (pair.east.folder / "rewinding").exists(), "the next one may be rewound"


def test_a_copy_that_was_killed_on_the_way_is_made_anew(pair: Pair, place: Path) -> None:
    server.stop(pair.west)
    shutil.rmtree(pair.west.data)
    pair.write(1)
    known = Description(
        **{"name": WEST, "sockets": pair.west.sockets, "port": pair.west.port, "password": pair.west.password},
        **{"settings": {}, "upstream_port": pair.links[WEST].port, "other": EAST, "other_port": pair.east.port},
        **{"follows": True, "start": place / "none", "state": place / "none.json"},
    )
    write_model(pair.west.folder / DESCRIPTION, known)
    command = [sys.executable, "-m", "archlab.recovery.starting", str(pair.west.folder)]
    pair.shape(Shape(bytes_per_s=2_000_000))
    with subprocess.Popen(command, stderr=subprocess.PIPE) as copying:
        wait_for(lambda: any(pair.west.folder.rglob("PG_VERSION")), "half of a copy")
        fencing.kill([copying.pid])
    assert not (pair.west.data / "PG_VERSION").exists(), "it would be started as if it were whole, and as a primary"
    pair.shape(Shape())
    with subprocess.Popen(command, stderr=subprocess.PIPE) as whole:
        replication.wait_streaming(pair.east, [WEST])
        assert numbers(pair.west) == 1
        fencing.kill([whole.pid])


def test_a_hand_over_loses_nothing_or_does_not_happen(pair: Pair) -> None:
    pair.write(20)
    replication.hand_over(pair.east, pair.west)
    assert numbers(pair.west) == 20
    replication.rejoin(pair.east, pair.west, pair.links[EAST])
    server.start(pair.east)
    replication.wait_streaming(pair.west, [EAST])
    pair.shape(Shape(cut=True))
    pair.west.ask("INSERT INTO written VALUES (-1)")
    with pytest.raises(ConflictError, match="east lacks what west wrote last"):
        replication.hand_over(pair.west, pair.east)
    assert not pair.east.is_primary
    server.start(pair.west)
    assert numbers(pair.west) == 21


def test_a_server_that_can_t_start_says_why(east: server.Server, place: Path) -> None:
    server.stop(east)
    (east.data / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(TargetError, match="does not start") as caught:
        server.start(east)
    assert any("9.6" in line for line in caught.value.log_tail)
