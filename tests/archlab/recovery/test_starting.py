from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from archlab.errors import ConflictError
from archlab.recovery.assessing import assess
from archlab.recovery.fencing import lower_fence, raise_fence
from archlab.recovery.runbook import Step, carry_out, under_way


def started(region: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archlab.recovery.starting", str(region), *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_behind_a_fence_nothing_starts_and_the_reason_is_said(tmp_path: Path) -> None:
    region = tmp_path / "east"
    region.mkdir()
    runs = (sys.executable, "-c", "print('runs')")
    assert started(region, *runs).stdout == "runs\n"
    raise_fence(region, "west takes over from it")
    refused = started(region, *runs)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "west takes over from it" in refused.stderr
    lower_fence(region)
    assert started(region, *runs).stdout == "runs\n"


def test_what_may_be_lost_is_said_before_and_has_to_be_accepted() -> None:
    assert "every acknowledged write" in assess("west", "it is level", lossless=True, accepted=False)
    with pytest.raises(ConflictError, match="it is 5 bytes behind") as refused:
        assess("west", "it is 5 bytes behind", lossless=False, accepted=False)
    assert "--accept-data-loss" in refused.value.remedy
    assert "accepted" in assess("west", "it is 5 bytes behind", lossless=False, accepted=True)


def test_a_runbook_that_was_broken_off_is_known_by_name(tmp_path: Path) -> None:
    path = tmp_path / "runbook"

    def breaks() -> str:
        raise ConflictError("west may lack writes.")

    steps = (Step("assess", lambda: "assessed"), Step("fence", breaks))
    assert under_way(path) == ""
    with pytest.raises(ConflictError):
        carry_out(path, "failover to west", steps, lambda *_: None)
    assert under_way(path) == "failover to west"
    carry_out(path, "failover to west", steps[:1], lambda *_: None)
    assert under_way(path) == ""


def test_what_a_runbook_only_looked_at_is_looked_at_again(tmp_path: Path) -> None:
    path, looked, broken = tmp_path / "runbook", list[str](), True

    def look() -> str:
        looked.append("assessed")
        return "nothing can be lost"

    def breaks() -> str:
        if broken:
            raise ConflictError("It is killed here.")
        return "fenced"

    steps = (Step("assess", look, changes=False), Step("fence", breaks), Step("promote", breaks))
    with pytest.raises(ConflictError):
        carry_out(path, "failover to west", steps, lambda *_: None)
    assert under_way(path) == "", "nothing was changed: whoever brings the region back may"
    broken = False
    assert [d.step for d in carry_out(path, "failover to west", steps, lambda *_: None)] == [
        "assess",
        "fence",
        "promote",
    ]
    assert len(looked) == 2, "what it found an hour ago says nothing"
