"""Evidence is addressed by what it says, comes back as it was, and damage is noticed."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from archlab.errors import NotFoundError, SpecError
from archlab.grading.store import EvidenceStore
from synthetic import World


@pytest.fixture
def store(tmp_path: Path) -> EvidenceStore:
    return EvidenceStore(tmp_path / "evidence")


def test_evidence_comes_back_and_equal_evidence_is_kept_once(store: EvidenceStore, tmp_path: Path) -> None:
    evidence = World().evidence()
    first, second = store.put(evidence), store.put(World().evidence())
    assert first == second
    assert store.get(first) == evidence
    assert len(list((tmp_path / "evidence").iterdir())) == 1
    other = store.put(World(seed=2).evidence())
    assert other != first


def test_the_file_itself_is_the_same_every_time(tmp_path: Path) -> None:
    stores = [EvidenceStore(tmp_path / name) for name in ("a", "b")]
    paths = [store.path(store.put(World().evidence())) for store in stores]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_damage_and_absence_are_named(store: EvidenceStore) -> None:
    sha256 = store.put(World().evidence())
    with pytest.raises(NotFoundError, match="not in"):
        store.get("0" * 64)
    path = store.path(sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SpecError, match="damaged"):
        store.get(sha256)
    path.write_bytes(gzip.compress(gzip.decompress(whole).replace(b"synthetic", b"elsewhere")))
    with pytest.raises(SpecError, match="was changed"):
        store.get(sha256)
