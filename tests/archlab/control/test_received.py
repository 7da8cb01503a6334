"""Copies of the pods' logs: whole, bounded, and of pods that may still be there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archlab.control.received import KEPT_LOGS, append
from archlab.errors import ConflictError


def test_what_is_sent_twice_is_there_once(tmp_path: Path) -> None:
    copy = tmp_path / "online-a.jsonl"
    assert append(copy, b"one\n", 0, 0) == 4
    assert append(copy, b"one\ntwo\n", 0, 0) == 8
    assert copy.read_bytes() == b"one\ntwo\n"


def test_a_gap_is_refused_while_the_pod_can_fill_it(tmp_path: Path) -> None:
    copy = tmp_path / "online-a.jsonl"
    append(copy, b"one\n", 0, 0)
    with pytest.raises(ConflictError, match="has 4 bytes, not 8"):
        append(copy, b"three\n", 8, 0)
    assert append(copy, b"three\n", 8, 8) == 14
    assert copy.read_bytes() == b"three\n"
    assert append(copy, b"four\n", 14, 8) == 19


def test_a_long_copy_is_set_aside_and_its_length_goes_on(tmp_path: Path) -> None:
    copy, sent = tmp_path / "online-a.jsonl", 0
    for _ in range(10):
        sent = append(copy, b"x" * 9 + b"\n", sent, 0, rotate_bytes=25)
    assert sent == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["online-a.jsonl", "online-a.jsonl.90"]
    assert copy.stat().st_size == 10


def test_logs_of_pods_long_gone_are_forgotten(tmp_path: Path) -> None:
    for number in range(KEPT_LOGS + 5):
        copy = tmp_path / f"online-{number}.jsonl"
        append(copy, b"{}\n", 0, 0)
        os.utime(copy, (number, number))
    kept = {int(path.stem.partition("-")[2]) for path in tmp_path.iterdir()}
    assert kept == set(range(5, KEPT_LOGS + 5))
