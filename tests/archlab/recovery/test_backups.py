"""Backups that restore, and every way in which one may not."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.errors import ConflictError, NotFoundError, UserError
from archlab.recovery.backups import Store, refuse_outside, repeat
from archlab.recovery.vault import DamagedError
from archlab.spec.backup import Backup, BackupContent

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "weights" / "empty").mkdir(parents=True)
    (made / "metadata.db").write_bytes(os.urandom(3_000_000))
    (made / "weights" / "model.onnx").write_bytes(b"onnx" * 1000)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "backups", tmp_path / "keys" / "backup.key")


def take(store: Store, tree: Path, after_s: float = 0) -> Backup:
    return store.take(tree, "a lab", ("metadata", "weights"), {"versions": "1"}, BEGAN + timedelta(seconds=after_s))


def content_of(tree: Path) -> dict[str, bytes]:
    return {p.relative_to(tree).as_posix(): p.read_bytes() for p in tree.rglob("*") if p.is_file()}


def test_what_was_backed_up_is_what_is_restored(store: Store, tree: Path, tmp_path: Path) -> None:
    made = take(store, tree)
    assert (made.files, made.size_bytes) == (2, 3_004_000)
    assert made.name == "backup-20261126-120000-000"
    assert (store.one(), store.usable()) == (made, made)
    content = store.open(made, tmp_path / "restored")
    assert content_of(tmp_path / "restored") == content_of(tree)
    assert (tmp_path / "restored" / "weights" / "empty").is_dir()
    assert content.facts == {"versions": "1"}
    with pytest.raises(ConflictError, match="place where nothing is"):
        store.open(made, tmp_path / "restored")
    with pytest.raises(ConflictError, match="already"):
        take(store, tree)


def test_nothing_of_the_content_can_be_read_from_the_files(store: Store, tree: Path) -> None:
    made = take(store, tree)
    sealed = store.sealed(made.name)
    assert b"onnx" not in sealed.read_bytes()
    assert b"metadata.db" not in sealed.read_bytes()
    assert sealed.stat().st_mode & 0o777 == 0o600


def damage_cut(store: Store, name: str) -> None:
    os.truncate(store.sealed(name), store.sealed(name).stat().st_size // 2)


def damage_bit(store: Store, name: str) -> None:
    content = bytearray(store.sealed(name).read_bytes())
    content[len(content) // 2] ^= 1
    store.sealed(name).write_bytes(content)


def damage_key(store: Store, name: str) -> None:
    store.key.write_text("00" * 32)


def damage_lost_key(store: Store, name: str) -> None:
    store.key.unlink()


def damage_gone(store: Store, name: str) -> None:
    store.sealed(name).unlink()


def damage_exchanged(store: Store, name: str) -> None:
    """Another backup of the same size in its place, whole and of the right key."""
    other = store.folder.parent / "tree"
    taken = store.take(other, "a lab", ("metadata", "weights"), {"versions": "1"}, BEGAN - timedelta(days=1))
    store.sealed(taken.name).replace(store.sealed(name))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_cut, "of 3,"),
        (damage_bit, "piece 2 was changed"),
        (damage_key, "made with key"),
        (damage_lost_key, "is not in"),
        (damage_gone, "is gone"),
        (damage_exchanged, "holds another backup"),
    ],
)
def test_a_backup_that_can_t_be_restored_is_an_alert_that_says_why(
    store: Store, tree: Path, tmp_path: Path, damage: object, reason: str
) -> None:
    made, place = take(store, tree), tmp_path / "proof"
    assert store.verify(made, lambda *_: None, place).verified
    assert callable(damage)
    damage(store, made.name)
    with pytest.raises(DamagedError, match=reason) as caught:
        store.verify(made, lambda *_: None, place)
    assert caught.value.exit_code == 1
    assert not place.exists(), "nothing of a damaged backup is left"
    kept = store.one(made.name)
    assert reason in kept.alert
    assert kept.verified is None


def test_a_restored_copy_that_is_not_what_it_should_be_is_an_alert_too(
    store: Store, tree: Path, tmp_path: Path
) -> None:
    def proof(_: Path, content: BackupContent) -> None:
        raise UserError(f"{content.facts['versions']} version has no weights.")

    made, place = take(store, tree), tmp_path / "proof"
    with pytest.raises(DamagedError, match="1 version has no weights"):
        store.verify(made, proof, place)
    with pytest.raises(NotFoundError, match="None of 1 backups can be restored"):
        store.usable()


def test_a_restore_begins_with_the_newest_that_is_not_known_to_be_damaged(
    store: Store, tree: Path, tmp_path: Path
) -> None:
    first, second = take(store, tree), take(store, tree, 60)
    damage_bit(store, second.name)
    assert store.usable() == second, "nobody has looked"
    with pytest.raises(DamagedError):
        store.verify(second, lambda *_: None, tmp_path / "proof")
    assert store.usable() == first


def test_old_ones_go_but_never_the_newest_that_was_verified(store: Store, tree: Path, tmp_path: Path) -> None:
    names = [take(store, tree, after).name for after in range(4)]
    store.verify(store.one(names[0]), lambda *_: None, tmp_path / "proof")
    assert store.prune(2) == (names[1],)
    assert [b.name for b in store.all()] == [names[0], *names[2:]]
    store.verify(store.one(names[3]), lambda *_: None, tmp_path / "proof")
    assert store.prune(1) == (names[0], names[2])
    assert sorted(p.suffix for p in store.folder.iterdir()) == [".json", ".sealed"]


def test_a_backup_that_was_interrupted_is_none(store: Store, tree: Path) -> None:
    store.folder.mkdir()
    (store.folder / ".backup-20261126-120000-000.part").write_bytes(b"half of it")
    assert store.all() == ()
    with pytest.raises(NotFoundError, match="no backup here yet"):
        store.one()
    made = take(store, tree)
    assert store.all() == (made,)
    assert sorted(p.suffix for p in store.folder.iterdir()) == [".json", ".sealed"], "the half one is gone"


class Interrupted(list[str]):
    """Parts during whose reading somebody presses ^C."""

    def __iter__(self) -> Iterator[str]:
        raise KeyboardInterrupt


def test_nothing_is_left_of_a_backup_that_is_interrupted(store: Store, tree: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        store.take(tree, "a lab", Interrupted(), {}, BEGAN)
    assert not list(store.folder.iterdir())


def test_a_killed_verification_says_nothing_about_the_backup(store: Store, tree: Path, tmp_path: Path) -> None:
    made, place = take(store, tree), tmp_path / "proof"
    (place / "half").mkdir(parents=True)
    assert store.verify(made, lambda *_: None, place).verified
    assert store.one().alert == ""
    assert not place.exists()


def test_what_can_t_be_read_is_told(store: Store, tree: Path) -> None:
    made = take(store, tree)
    (store.folder / f"{made.name}.json").write_text('{"name": ')
    (store.folder / "backup-20260101-000000-000.sealed").write_bytes(b"whose is it?")
    assert store.all() == ()
    assert list(store.strays()) == ["backup-20260101-000000-000", made.name]
    assert store.strays()["backup-20260101-000000-000"].endswith("has no description beside it.")
    with pytest.raises(DamagedError, match=f"{made.name}.json can't be read"):
        store.one(made.name)
    with pytest.raises(NotFoundError, match="None of 2 backups can be restored"):
        store.usable()


def test_a_schedule_leaves_out_what_it_missed() -> None:
    waited: list[float] = []

    def ended(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) == 3

    def slow() -> None:
        until = time.monotonic() + 0.02
        while time.monotonic() < until:
            continue

    repeat(lambda: None, 100, ended)
    assert 99 < waited[0] <= 100
    waited.clear()
    repeat(slow, 0.001, ended)
    assert max(waited) <= 0.001, "the next begins at once, and only once"


@pytest.mark.parametrize(("name", "kind"), [("../x", tarfile.REGTYPE), ("/x", tarfile.REGTYPE), ("x", tarfile.SYMTYPE)])
def test_what_would_lead_out_of_the_place_is_not_opened(name: str, kind: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.type = kind
    with pytest.raises(DamagedError, match="no plain file"):
        refuse_outside(member)
