"""Where the files of versions are: on the registry's own disk, or in a bucket (`archlab.registry.bucket`).

What rules get to see is measured on files; a store says where they are and has them on this machine while that is done.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import urlsplit

from archlab.errors import UserError
from archlab.settings import LabFolder

DESTINATION = "_MLFLOW_SERVER_ARTIFACT_DESTINATION"
"""MLflow's own variable: a folder, or `s3://BUCKET[/PREFIX]`."""


class ArtifactStore(Protocol):
    """The store that the registry itself serves as `mlflow-artifacts:/`."""

    def check(self) -> None:
        """Ask once, before anything is kept there.

        Raises:
            UnavailableError: the store does not answer, or does not take the keys.
        """

    def path(self, uri: str) -> PurePosixPath | None:
        """Where a URI leads below the store's root; None when that is outside it, or all of it."""

    def folder(self, path: PurePosixPath) -> Path | None:
        """The files that lie there now; None, or a folder that does not exist, when there are none.

        Raises:
            UnavailableError: the store does not answer.
            RefusedError: what lies there can't be looked at.
        """


class FolderStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def check(self) -> None:
        """See `ArtifactStore`; MLflow makes the folder."""

    def path(self, uri: str) -> PurePosixPath | None:
        """See `ArtifactStore`; links are followed."""
        below = own_path(uri)
        where = None if below is None else (self._root / below).resolve()
        if where is None or where == self._root or not where.is_relative_to(self._root):
            return None
        return PurePosixPath(where.relative_to(self._root).as_posix())

    def folder(self, path: PurePosixPath) -> Path | None:
        """See `ArtifactStore`."""
        return self._root / path


def own_path(uri: str) -> str | None:
    """The path of a `mlflow-artifacts:/` URI without a server's name; None for any other."""
    parts = urlsplit(uri)
    return None if parts.scheme != "mlflow-artifacts" or parts.netloc else parts.path.lstrip("/")


def artifact_store(folder: LabFolder) -> ArtifactStore:
    """The store that MLflow's variable names in this process; the lab's own folder when it names none.

    Raises:
        UserError: it is of a kind that can't be looked into.
    """
    named = os.environ.get(DESTINATION) or str(folder.registry / "artifacts")
    scheme = urlsplit(named).scheme
    if scheme == "s3":
        from archlab.registry.bucket import Bucket

        return Bucket(named)
    if scheme:
        raise UserError(f"Model files can't be kept at {named}.", "Name a folder, or s3://BUCKET/PREFIX.")
    return FolderStore(Path(named))
