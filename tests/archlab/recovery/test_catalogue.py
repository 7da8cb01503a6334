"""What lies in a region, listed as often as somebody asks and read only when it changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archlab.files import write_atomic, write_model
from archlab.recovery.copying.catalogue import Catalogue
from archlab.recovery.copying.description import DESCRIPTION, told
from archlab.spec.regions import Part
from two_stores import EAST, WEST, Stores

BLOBS = "releases/blobs"


def test_nothing_is_read_again_unless_a_file_changed(tmp_path: Path) -> None:
    catalogue, path = Catalogue(tmp_path), tmp_path / BLOBS / "a"
    assert catalogue.listing(Part.ARTIFACTS).entries == ()
    write_atomic(path, b"first")
    first = catalogue.listing(Part.ARTIFACTS)
    assert catalogue.listing(Part.ARTIFACTS) is first
    write_atomic(tmp_path / BLOBS / "b", b"another")
    second = catalogue.listing(Part.ARTIFACTS)
    assert [entry.path for entry in second.entries] == [f"{BLOBS}/a", f"{BLOBS}/b"]
    assert second.by_path[f"{BLOBS}/a"] is first.entries[0], "it has not changed"
    write_atomic(path, b"other")
    third = catalogue.listing(Part.ARTIFACTS)
    assert third.digest != second.digest
    assert third.by_path[f"{BLOBS}/a"].sha256 != first.entries[0].sha256
    path.unlink()
    assert [entry.path for entry in catalogue.listing(Part.ARTIFACTS).entries] == [f"{BLOBS}/b"]


def test_what_is_being_written_and_what_lies_elsewhere_is_not_listed(tmp_path: Path) -> None:
    write_atomic(tmp_path / BLOBS / "deeper" / "a", b"a")
    write_atomic(tmp_path / BLOBS / ".b.part", b"b")
    write_atomic(tmp_path / "secret", b"c")
    (tmp_path / BLOBS / "link").symlink_to(tmp_path / "secret")
    (tmp_path / BLOBS / "folder").symlink_to(tmp_path)
    found = Catalogue(tmp_path).listing(Part.ARTIFACTS).entries
    assert [entry.path for entry in found] == [f"{BLOBS}/deeper/a"]


def test_a_store_hears_at_once_what_it_is_told_and_parses_it_once(tmp_path: Path) -> None:
    made = Stores(tmp_path)
    made.describe()
    kept = told(tmp_path / EAST)
    first = kept.read()
    assert first.primary
    assert kept.read() is first
    made.primary = WEST
    made.describe()
    assert not kept.read().primary
    write_model(tmp_path / EAST / DESCRIPTION, first)
    os.utime(tmp_path / EAST / DESCRIPTION, (1, 1))
    assert kept.read().primary
    (tmp_path / EAST / DESCRIPTION).unlink()
    with pytest.raises(FileNotFoundError):
        kept.read()
