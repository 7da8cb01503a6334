"""Model files in a bucket of an S3-compatible store: looked at in copies that are renewed when an object changes.

The client is MLflow's own, with its variables (`MLFLOW_S3_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, …).
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from archlab.errors import RefusedError, UnavailableError
from archlab.registry.artifacts import MOST_FILES
from archlab.registry.store import own_path

MOST_BYTES = 1 << 30
"""Of one object that is looked at, and of all of a version's together."""
COPIES = 32
"""Versions whose files stay on this machine; the one looked at longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Copy:
    """What was fetched of a version, and the marks that its objects had."""

    folder: Path
    marks: Mapping[str, str]


class Bucket:
    """An `ArtifactStore` in a bucket.

    Args:
        destination: `s3://BUCKET[/PREFIX]`.
    """

    def __init__(self, destination: str) -> None:
        parts = urlsplit(destination)
        self._bucket, self._root = parts.netloc, parts.path.strip("/")
        self._place = Path(tempfile.mkdtemp(prefix="archlab-bucket-"))
        weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self._lock = threading.Lock()

    def check(self) -> None:
        """See `ArtifactStore`."""
        with _answering(self._bucket):
            _client().list_objects_v2(Bucket=self._bucket, Prefix=self._root, MaxKeys=1)

    def path(self, uri: str) -> PurePosixPath | None:
        """See `ArtifactStore`."""
        below = own_path(uri)
        names = [name for name in (below or "").split("/") if name]
        return PurePosixPath(*names) if names and not {".", ".."} & set(names) else None

    def folder(self, path: PurePosixPath) -> Path | None:
        """See `ArtifactStore`; asks for the list of objects every time, and for those that changed."""
        with self._lock, _answering(self._bucket):
            marks = self._marks(path)
            held = self._copies.pop(str(path), None)
            if held is not None and held.marks != marks:
                shutil.rmtree(held.folder)
                held = None
            if not marks:
                return None
            self._copies[str(path)] = held = held or self._fetch(path, marks)
            while len(self._copies) > COPIES:
                shutil.rmtree(self._copies.popitem(last=False)[1].folder)
            return held.folder

    def _marks(self, path: PurePosixPath) -> dict[str, str]:
        """Of each object below a path, by its name there: what changes when it does.

        Raises:
            RefusedError: there are too many, too large ones, or names that no file can have.
        """
        prefix = "/".join(part for part in (self._root, str(path)) if part) + "/"
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        objects = (one for page in pages for one in page.get("Contents", ()))
        listed = list(islice((o for o in objects if not _is_marker(o)), MOST_FILES + 1))
        total = sum(int(o["Size"]) for o in listed)
        if len(listed) > MOST_FILES or total > MOST_BYTES:
            raise RefusedError(
                f"{path} has {len(listed)} files or more, {total} bytes; at most {MOST_FILES} files of {MOST_BYTES} "
                "bytes together are looked at.",
                "Log a model without what does not belong to it.",
            )
        marks = {o["Key"].removeprefix(prefix): f"{o['ETag']} {o['Size']} {o['LastModified']}" for o in listed}
        if strange := next((name for name in marks if {"", ".", ".."} & set(name.split("/"))), ""):
            raise RefusedError(f"{path} has an object {strange!r}, a name that no file can have.")
        return marks

    def _fetch(self, path: PurePosixPath, marks: Mapping[str, str]) -> Copy:
        folder = Path(tempfile.mkdtemp(dir=self._place))
        try:
            for name in marks:
                key = "/".join(part for part in (self._root, str(path), name) if part)
                where = folder / name
                where.parent.mkdir(parents=True, exist_ok=True)
                _client().download_file(self._bucket, key, str(where))
        except OSError as error:
            shutil.rmtree(folder)
            raise RefusedError(f"The files of {path} can't be looked at: {error}.") from error
        except BaseException:
            shutil.rmtree(folder)
            raise
        return Copy(folder, marks)


def serve_by_ourselves() -> None:
    """Have MLflow hand out and take in files of buckets itself; import MLflow first.

    Its own class for S3 would sign addresses in the bucket for clients: a way round the gateway, to a place that they
    may not reach, and good for as long as the address is.
    """
    from mlflow.store.artifact.artifact_repo import ArtifactRepository
    from mlflow.store.artifact.artifact_repository_registry import _artifact_repository_registry
    from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

    class ThroughTheRegistry(ArtifactRepository):  # type: ignore[misc]
        """MLflow's class for S3, without what signs addresses."""

        def __init__(self, artifact_uri: str, *more: Any, **named: Any) -> None:
            super().__init__(artifact_uri, *more, **named)
            self._bucket = S3ArtifactRepository(artifact_uri, **named)

        def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
            self._bucket.log_artifact(local_file, artifact_path)

        def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
            self._bucket.log_artifacts(local_dir, artifact_path)

        def list_artifacts(self, path: str | None = None) -> Any:
            return self._bucket.list_artifacts(path)

        def _download_file(self, remote_file_path: str, local_path: str) -> None:
            self._bucket._download_file(remote_file_path, local_path)

        def delete_artifacts(self, artifact_path: str | None = None) -> None:
            self._bucket.delete_artifacts(artifact_path)

    _artifact_repository_registry.register("s3", ThroughTheRegistry)


def _client() -> Any:
    from mlflow.store.artifact.s3_artifact_repo import _get_s3_client

    return _get_s3_client()


def _is_marker(entry: Mapping[str, Any]) -> bool:
    """Whether an object is only there so that a console shows a folder."""
    return str(entry["Key"]).endswith("/") and not entry["Size"]


@contextmanager
def _answering(bucket: str) -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise UnavailableError(
            f"The bucket {bucket} that model files are in can't be read: {error}", "Check address, keys and bucket."
        ) from error
