"""A store of backups: encrypted, checksummed, opened only into an empty place, and kept for a while.

Two files each: `<name>.sealed`, a tar that is encrypted whole, and `<name>.json`, what is known of it without the key.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, cast

from pydantic import ValidationError

from archlab.errors import ArchlabError, ConflictError, NotFoundError
from archlab.files import file_sha256, write_model
from archlab.recovery.vault import DamagedError, Opened, Sealer, fingerprint, key_in
from archlab.spec.backup import Backup, BackupContent, StoredFile

CONTENT = ".archlab-backup.json"
REMEDY = "Take another one: archlab backup list"
Proof = Callable[[Path, BackupContent], None]
"""Looks at a restored copy."""


class Store:
    """Backups in a folder."""

    def __init__(self, folder: Path, key: Path) -> None:
        """A store.

        Args:
            folder: where the backups lie.
            key: file of the key; made with the first backup.
        """
        self.folder, self.key = folder, key

    def sealed(self, name: str) -> Path:
        """The encrypted file."""
        return self.folder / f"{name}.sealed"

    def take(
        self,
        tree: Path,
        of: str,
        parts: Sequence[str],
        facts: Mapping[str, str],
        began: datetime,
        needs: str = "",
    ) -> Backup:
        """Back a folder up that nobody changes meanwhile; the backup appears when it is complete.

        Args:
            tree: the folder; plain files and folders only.
            of: what it is of.
            parts: what it holds.
            facts: what a restored copy has to say too.
            began: when the content was read.
            needs: the first piece of an archived log without which it can't be restored.

        Raises:
            ConflictError: there is one of that moment already.
        """
        name, since = f"backup-{began:%Y%m%d-%H%M%S-%f}"[:-3], time.monotonic()
        content = BackupContent(name=name, files=tuple(_files(tree)), facts=dict(facts))
        with self._part(name) as part:
            key = key_in(self.key)
            _seal(tree, content, part, key)
            made = Backup(
                name=name,
                of=of,
                parts=tuple(parts),
                taken=began,
                seconds=time.monotonic() - since,
                files=len(content.files),
                size_bytes=sum(f.size_bytes for f in content.files),
                stored_bytes=part.stat().st_size,
                sha256=file_sha256(part),
                needs=needs,
                key=fingerprint(key),
            )
            part.rename(self.sealed(name))
            self._keep(made)
        return made

    def all(self) -> tuple[Backup, ...]:
        """Every backup of which it can be read what it is, oldest first; see `strays` for the others."""
        return tuple(found for found in self._known().values() if isinstance(found, Backup))

    def strays(self) -> dict[str, str]:
        """What lies here and can't be used, by name, and why: no description, or one that can't be read."""
        return {name: found for name, found in self._known().items() if isinstance(found, str)}

    def one(self, name: str | None = None) -> Backup:
        """The named backup, or the newest.

        Raises:
            NotFoundError: there is none.
            DamagedError: nobody can read what the named one is.
        """
        known = self.all()
        found = next((b for b in reversed(known) if name in (None, b.name)), None)
        if found is None and name and (why := self.strays().get(name)):
            raise DamagedError(why, REMEDY)
        if found is None:
            what = f"There is no backup {name!r}." if known else "There is no backup here yet."
            raise NotFoundError(
                what, f"Known: {', '.join(b.name for b in known[-5:])}." if known else "Take one first."
            )
        return found

    def usable(self) -> Backup:
        """What a restore would begin with: the newest of which nobody knows that it can't be restored.

        Raises:
            NotFoundError: there is none.
        """
        known = self.all()
        found = next((b for b in reversed(known) if not b.alert), None)
        if found is None:
            count = len(self._known())
            raise NotFoundError(f"None of {count} backups can be restored." if count else "There is no backup.")
        return found

    def open(self, backup: Backup, into: Path) -> BackupContent:
        """Put a backup's files into an empty place, each compared with what was stored; it appears when all are.

        Raises:
            ConflictError: something is there already.
            DamagedError: it can't be opened, or is not what was stored; says what was found.
        """
        if into.exists():
            raise ConflictError(f"{into} is there already.", "A restore goes to a place where nothing is.")
        self._look(backup)
        part = into.with_name(f".{into.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        try:
            with self._damages(backup):
                content = self._extract(backup, part)
                _compare(part, content, backup)
            part.rename(into)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return content

    def verify(self, backup: Backup, proof: Proof, place: Path) -> Backup:
        """Restore a backup into an empty place, compare, forget the copy; see `prove`."""
        try:
            return self.prove(backup, proof, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def prove(self, backup: Backup, proof: Proof, place: Path) -> Backup:
        """Restore a backup into an empty place and compare; what came of it is noted beside the backup.

        Args:
            backup: which.
            proof: looks at the restored copy; raises an `ArchlabError` where it is not what it should be.
            place: where the copy is then; what a killed one left there goes first.

        Raises:
            DamagedError: it can't be restored: the alert. No copy is left.
        """
        shutil.rmtree(place, ignore_errors=True)
        try:
            proof(place, self.open(backup, place))
        except ArchlabError as error:
            shutil.rmtree(place, ignore_errors=True)
            said = " ".join((error.message, *getattr(error, "log_tail", ())[-1:]))
            self._keep(backup.model_copy(update={"alert": said, "verified": None}))
            raise DamagedError(f"Backup {backup.name} can't be restored: {said}", REMEDY) from None
        made = backup.model_copy(update={"alert": "", "verified": datetime.now(UTC)})
        self._keep(made)
        return made

    def prune(self, keep: int) -> tuple[str, ...]:
        """Delete the oldest but so many; the newest that was verified always stays. Names of those that went.

        Args:
            keep: at least one.
        """
        known = self.all()
        proven = next((b.name for b in reversed(known) if b.verified), None)
        doomed = [b.name for b in known[: max(0, len(known) - keep)] if b.name != proven]
        for name in doomed:
            self.sealed(name).unlink(missing_ok=True)
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        return tuple(doomed)

    def _known(self) -> dict[str, Backup | str]:
        """Everything that lies here by name, oldest first; a sentence where nobody can read what it is."""
        described = {path.stem: _described(path) for path in self.folder.glob("*.json")}
        sealed = {path.stem: f"{path.name} has no description beside it." for path in self.folder.glob("*.sealed")}
        return dict(sorted({**sealed, **described}.items()))

    @contextmanager
    def _part(self, name: str) -> Iterator[Path]:
        """Where a new backup is put together. One at a time: what lies there from before is a killed one's.

        Raises:
            ConflictError: there is a whole one of that name.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part, folder = self.folder / f".{name}.part", os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            for left in self.folder.glob(".backup-*.part"):
                left.unlink()
            if self.sealed(name).exists():
                raise ConflictError(f"There is a backup {name} already.", "Backups are never overwritten.")
            yield part
        finally:
            part.unlink(missing_ok=True)
            os.close(folder)

    def _keep(self, backup: Backup) -> None:
        write_model(self.folder / f"{backup.name}.json", backup)

    def _look(self, backup: Backup) -> None:
        """What shows without opening it."""
        path = self.sealed(backup.name)
        if not path.exists():
            raise DamagedError(f"{path.name} is gone.", REMEDY)
        size = path.stat().st_size
        if size != backup.stored_bytes:
            raise DamagedError(f"{path.name} has {size:,} of {backup.stored_bytes:,} bytes.", REMEDY)

    @contextmanager
    def _damages(self, backup: Backup) -> Iterator[None]:
        try:
            yield
        except (tarfile.TarError, ValidationError, EOFError, OSError) as error:
            raise DamagedError(f"{backup.name} can't be read: {error}.", REMEDY) from None

    def _extract(self, backup: Backup, into: Path) -> BackupContent:
        content: BackupContent | None = None
        if not self.key.exists():
            raise DamagedError(f"The key {backup.key} is not in {self.key}.", "Put it back: without it nothing opens.")
        with self.sealed(backup.name).open("rb") as source:
            opened = Opened(source, key_in(self.key))
            with tarfile.open(fileobj=cast(BinaryIO, opened), mode="r|") as tar:
                # Python before 3.11.4 has no filters
                tar.extraction_filter = getattr(tarfile, "data_filter", None)
                for member in tar:
                    if member.name == CONTENT and (file := tar.extractfile(member)):
                        content = BackupContent.model_validate_json(file.read())
                    else:
                        refuse_outside(member)
                        tar.extract(member, into)
            # what comes after the archive's own end is a part of the file too
            while opened.read(1 << 20):
                continue
        if content is None or content.name != backup.name:
            raise DamagedError(f"{backup.name} holds another backup, or none.", REMEDY)
        return content


def refuse_outside(member: tarfile.TarInfo) -> None:
    """Let plain files and folders pass that stay in the place.

    Raises:
        DamagedError: it is something else, or leads out of it.
    """
    parts = Path(member.name)
    if not (member.isfile() or member.isdir()) or parts.is_absolute() or ".." in parts.parts:
        raise DamagedError(f"It holds {member.name}, which is no plain file in it.", REMEDY)


def repeat(take: Callable[[], object], every_s: float, ended: Callable[[float], bool]) -> None:
    """Do something at once and then on a schedule; when it takes longer than the interval, missed times are left out.

    Args:
        take: what.
        every_s: seconds between two beginnings.
        ended: waits for so many seconds; whether it is over.
    """
    due = time.monotonic()
    while True:
        take()
        due = max(due + every_s, time.monotonic())
        if ended(due - time.monotonic()):
            return


def _seal(tree: Path, content: BackupContent, part: Path, key: bytes) -> None:
    with part.open("wb") as sink:
        part.chmod(0o600)
        sealer = Sealer(sink, key)
        with tarfile.open(fileobj=cast(BinaryIO, sealer), mode="w|", format=tarfile.GNU_FORMAT) as tar:
            _add_content(tar, content)
            tar.add(tree, arcname=".")
        sealer.close()


def _described(path: Path) -> Backup | str:
    try:
        return Backup.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
        return f"{path.name} can't be read: {why}."


def _files(tree: Path) -> Iterator[StoredFile]:
    for path in sorted(p for p in tree.rglob("*") if p.is_file()):
        yield StoredFile(
            path=path.relative_to(tree).as_posix(), size_bytes=path.stat().st_size, sha256=file_sha256(path)
        )


def _add_content(tar: tarfile.TarFile, content: BackupContent) -> None:
    data = content.model_dump_json().encode()
    member = tarfile.TarInfo(CONTENT)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, BytesIO(data))


def _compare(tree: Path, content: BackupContent, backup: Backup) -> None:
    there = {f.path: f for f in _files(tree)}
    for wanted in content.files:
        found = there.pop(wanted.path, None)
        if found is None:
            raise DamagedError(f"{wanted.path} is missing in {backup.name}.", REMEDY)
        if found != wanted:
            raise DamagedError(f"{wanted.path} in {backup.name} is not what was backed up.", REMEDY)
    if there:
        raise DamagedError(f"{next(iter(there))} in {backup.name} was not backed up.", REMEDY)


def text_digest(lines: Sequence[str]) -> str:
    """Hexadecimal SHA-256 of lines: a fact about content that is too long to keep."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
