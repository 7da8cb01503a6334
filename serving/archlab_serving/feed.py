"""The release feed: what should be loaded, and the proof that it may be.

Reads the JSON of `archlab.spec.release` without importing it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .errors import FeedError, RefusedReleaseError

FEED_FORMAT = "archlab/release-feed/v1"
_SIGNED = (
    *("id", "model", "version", "team", "kind", "pool", "role", "sha256", "source_sha256"),
    *("decision_id", "decision_sha256", "columns", "keys", "table_keys"),
)
REQUEST_SOURCE = "request"


Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the input matrix; `source` is `request` or a feature view's name."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Release:
    """One servable version; the fields are those of `archlab.spec.release.Release` that a server needs."""

    id: str
    model: str
    version: str
    team: str
    kind: str
    pool: str
    sha256: str
    path: str
    decision_id: str
    decision_sha256: str
    source_sha256: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    table_keys: tuple[str, ...]
    role: str
    signature: str
    notices: Headers = ()
    """What its callers are told of its end, as HTTP headers; empty unless it is deprecated."""
    model_signature: str = ""
    """The model's own, by whoever trained it: a Sigstore bundle. It speaks for itself and is not in the statement."""

    def statement(self) -> bytes:
        """The bytes that the signature covers: canonical JSON, sorted keys, no blanks."""
        return orjson.dumps({name: getattr(self, name) for name in _SIGNED}, option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, slots=True)
class Feed:
    """The releases of one pool at one sequence."""

    sequence: int
    releases: tuple[Release, ...]
    entries: Mapping[bytes, Release] = field(default_factory=dict)
    """The releases by a digest of the entry that each was read from."""
    shares: Mapping[str, int] = field(default_factory=dict)
    """Places by team, of those that have a share of the pool."""
    closed: Mapping[str, str] = field(default_factory=dict)
    """Teams whose callers are not answered for now, and what they are told."""


NO_FEED = Feed(-1, ())


def read_feed(path: Path, pool: str, previous: Feed = NO_FEED) -> Feed:
    """The pool's part of the feed; entries that stand in `previous` too become the very same objects.

    Raises:
        FeedError: the file is missing, damaged, or not a release feed.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise FeedError(f"{path}: not JSON: {error}") from error
    try:
        _check_format(document["format"])
        entries = {_digest(entry): entry for entry in document["releases"] if entry["pool"] == pool}
        known = previous.entries
        releases = {digest: known.get(digest) or _release(entry) for digest, entry in entries.items()}
        held, closed = _shares(document, pool), _closed(document)
        return Feed(int(document["sequence"]), tuple(releases.values()), releases, held, closed)
    except KeyError as error:
        raise FeedError(f"{path}: field {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise FeedError(f"{path}: {error}") from error


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The key that releases are signed with.

    Raises:
        RefusedReleaseError: there is no such key, so nothing can be trusted.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RefusedReleaseError("key", f"{path}: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise RefusedReleaseError("key", f"{path}: not an Ed25519 public key")
    return key


def verify(release: Release, key: Ed25519PublicKey) -> None:
    """Checks the signature, and that the allow decision names this very digest.

    Raises:
        RefusedReleaseError: it does not hold.
    """
    try:
        key.verify(base64.b64decode(release.signature, validate=True), release.statement())
    except (InvalidSignature, binascii.Error) as error:
        raise RefusedReleaseError("signature", f"the signature of {release.id} does not verify") from error
    if release.decision_sha256 != release.source_sha256:
        raise RefusedReleaseError(
            "decision",
            f"decision {release.decision_id} allows {release.decision_sha256[:12]}…, "
            f"{release.id} comes from {release.source_sha256[:12]}…",
        )
    if release.kind == "onnx" and release.source_sha256 != release.sha256:
        raise RefusedReleaseError(
            "decision", f"{release.id} is not the file that decision {release.decision_id} allows"
        )


def read_blob(folder: Path, release: Release, max_bytes: int, region: str = "") -> bytes:
    """The release's file, once its digest is right.

    Args:
        folder: the feed's.
        release: whose.
        max_bytes: as much is read.
        region: whose copy this is, where files are copied between regions.

    Raises:
        RefusedReleaseError: the file is outside the feed's folder, missing, too large, or another one.
    """
    path = (folder / release.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RefusedReleaseError("path", f"{release.id} names {release.path!r}, outside the feed's folder")
    try:
        _check_size(path, max_bytes)
        data = path.read_bytes()
    except OSError as error:
        if region and isinstance(error, FileNotFoundError):
            raise RefusedReleaseError("unreadable", f"its file has not arrived in region {region}") from error
        raise RefusedReleaseError("unreadable", f"{path}: {error.strerror or error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != release.sha256:
        raise RefusedReleaseError("digest", f"{path}: SHA-256 is {found[:12]}…, {release.id} is {release.sha256[:12]}…")
    return data


def _check_size(path: Path, max_bytes: int) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise RefusedReleaseError("unreadable", f"{path}: not a regular file")
    if status.st_size > max_bytes:
        raise RefusedReleaseError(
            "size", f"{path} has {status.st_size} bytes; ARCHLAB_SERVING_MAX_MODEL_BYTES allows {max_bytes}"
        )


def _shares(document: Mapping[str, Any], pool: str) -> dict[str, int]:
    shares = document.get("shares", {}).get(pool, {})
    if any(type(places) is not int or places < 1 for places in shares.values()):
        raise ValueError(f"a share of {pool} is not a whole number of places: {shares!r}")
    return {str(team): places for team, places in shares.items()}


def _closed(document: Mapping[str, Any]) -> dict[str, str]:
    return {str(team): _text(document["closed"], team) for team in document.get("closed", {})}


def _digest(entry: object) -> bytes:
    return hashlib.blake2b(orjson.dumps(entry), digest_size=16).digest()


def _check_format(found: object) -> None:
    if found != FEED_FORMAT:
        raise ValueError(f"format is {found!r}, expected {FEED_FORMAT!r}")


def _release(entry: Mapping[str, Any]) -> Release:
    texts = {name: _text(entry, name) for name in _TEXTS}
    return Release(
        **texts,
        columns=tuple(_column(_text(column, "name"), _text(column, "source")) for column in entry["columns"]),
        keys=tuple(entry["keys"]),
        table_keys=tuple(entry.get("table_keys", ())),
        role=entry.get("role", "champion"),
        notices=_notices(entry.get("deprecated"), entry.get("sunset")),
        model_signature=_text(entry, "model_signature") if "model_signature" in entry else "",
    )


def _notices(deprecated: str | None, sunset: str | None) -> Headers:
    """Headers of an answer by something deprecated (RFC 9745, RFC 8594); both times are the business clock's."""
    if deprecated is None or sunset is None:
        return ()
    since, until = (datetime.fromisoformat(text).astimezone(UTC) for text in (deprecated, sunset))
    return (
        (b"deprecation", b"@%d" % int(since.timestamp())),
        (b"sunset", format_datetime(until, usegmt=True).encode()),
        (b"x-archlab-clock", b"business"),
    )


@lru_cache(4096)
def _column(name: str, source: str) -> Column:
    """Models share their columns' names: a thousand releases need few objects."""
    return Column(name, source)


_TEXTS = (
    *("id", "model", "version", "team", "kind", "pool", "sha256", "path"),
    *("decision_id", "decision_sha256", "source_sha256", "signature"),
)


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry[name]
    if not isinstance(value, str):
        raise TypeError(f"field {name!r} is {value!r}, a text is needed")
    return value
