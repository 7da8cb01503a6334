"""Evidence is taken once per answer, kept compressed under its digest, and belongs to one lab and one seed."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.errors import LabStateError
from archlab.grading.content import load
from archlab.grading.practice import Practice
from archlab.spec.gradebook import Attempt
from archlab.spec.grading import Verdict
from clocks import Laboratory


def _files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "lab" / "evidence").iterdir())


def test_it_is_taken_once_per_answer(practice: Practice, laboratory: Laboratory) -> None:
    practice.answer("pick", "left")
    assert laboratory.taken == 1
    practice.grade()
    assert laboratory.taken == 2


def test_an_answer_that_cannot_be_read_takes_none(practice: Practice, laboratory: Laboratory) -> None:
    practice.answer("pick", "sideways")
    assert laboratory.taken == 0


def test_it_is_kept_compressed_under_the_digest_of_its_json(practice: Practice, tmp_path: Path) -> None:
    practice.answer("pick", "left")
    (path,) = _files(tmp_path)
    packed = path.read_bytes()
    data = gzip.decompress(packed)
    assert path.name == f"{hashlib.sha256(data).hexdigest()}.json.gz"
    assert len(packed) < len(data) / 4
    attempt = practice.book.entries()[0]
    assert isinstance(attempt, Attempt)
    assert path.name.startswith(attempt.evidence)
    assert practice.store.get(attempt.evidence).daily == ()


def test_equal_pictures_are_kept_once(
    practice: Practice, tmp_path: Path, advance: Callable[[int], None], laboratory: Laboratory
) -> None:
    for raw in ("left", "up", "down"):
        practice.answer("pick", raw)
    assert laboratory.taken == 3
    assert len(_files(tmp_path)) == 1
    advance(1)
    practice.answer("pick", "right")
    assert len(_files(tmp_path)) == 2


def test_a_lab_of_another_seed_is_said_and_nothing_recorded(practice: Practice, laboratory: Laboratory) -> None:
    practice.answer("pick", "left")
    laboratory.seed = 2
    with pytest.raises(LabStateError, match="has seed 2; its gradebook holds attempts at seed 1"):
        practice.answer("pick", "right")
    assert len(practice.book.entries()) == 1


def test_a_truth_that_raises_spends_nothing_and_its_evidence_is_kept_for_a_regrade(
    practice: Practice, folder: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        assert practice.answer("broken", "1").verdict is Verdict.PLATFORM_ERROR
    assert practice.standing("broken").spent == 0
    log = (tmp_path / "lab" / "log" / "grading.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert 'raise ZeroDivisionError("oops")' in log
    truths = folder / "truths.py"
    truths.write_text(truths.read_text().replace('raise ZeroDivisionError("oops")', "return Truth(answer=1)"))
    mended = Practice(load(folder), tmp_path / "lab", practice._collect)
    assert [r.now for r in mended.regrade()] == [Verdict.CORRECT]
    assert mended.answer("broken", "1").points == 5
