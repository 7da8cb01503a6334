"""Backups: what lies beside the encrypted file, and what is in it."""

from __future__ import annotations

from typing import Literal

from .base import Slug, Spec, UtcTime


class StoredFile(Spec):
    """One file of a backup."""

    path: str
    """Below the backup's own root."""
    size_bytes: int
    sha256: str


class BackupContent(Spec):
    """What a backup holds; encrypted with it, so that nobody can change one without the other."""

    format: Literal["archlab/backup-content/v1"] = "archlab/backup-content/v1"
    name: Slug
    files: tuple[StoredFile, ...]
    facts: dict[str, str] = {}
    """What was known of the content when it was taken; a restored copy has to say the same."""


class Backup(Spec):
    """What can be read of a backup without its key."""

    format: Literal["archlab/backup/v1"] = "archlab/backup/v1"
    name: Slug
    of: str
    """What it is of: a lab, a region's database."""
    parts: tuple[str, ...]
    taken: UtcTime
    """When it began; what was written later is not in it."""
    seconds: float
    """How long it took."""
    files: int
    size_bytes: int
    """Of the files."""
    stored_bytes: int
    """Of the encrypted file."""
    sha256: str
    """The encrypted file's."""
    needs: str = ""
    """The first piece of an archived log without which it can't be restored; empty: it needs none."""
    key: str
    """Fingerprint of the key that opens it."""
    verified: UtcTime | None = None
    """When it was last restored into an empty place and compared, with success."""
    alert: str = ""
    """Why it can't be restored, as of the last attempt; empty: nobody knows that it can't."""
