"""Evidence on disk: canonical JSON, compressed, addressed by its digest."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

from pydantic import ValidationError

from archlab.errors import NotFoundError, SpecError
from archlab.files import write_atomic
from archlab.grading.canonical import canonical
from archlab.spec.grading import Evidence

MAX_BYTES = 64 * 2**20
"""Evidence that unpacks to more is refused: a few kilobytes can stand for gigabytes."""

_CHUNK_BYTES = 2**20


class EvidenceStore:
    """`<lab>/evidence/<sha256>.json.gz`; the digest is of the JSON, so that it outlives a new compressor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Where evidence of that digest is kept."""
        return self._folder / f"{sha256}.json.gz"

    def put(self, evidence: Evidence) -> str:
        """Keep evidence; its digest. Keeping it twice changes nothing."""
        data = canonical(evidence.model_dump(mode="json"))
        sha256 = hashlib.sha256(data).hexdigest()
        if not self.path(sha256).exists():
            write_atomic(self.path(sha256), gzip.compress(data, mtime=0))
        return sha256

    def get(self, sha256: str) -> Evidence:
        """The evidence of that digest.

        Raises:
            NotFoundError: it is not here.
            SpecError: the file is damaged or was changed.
        """
        path = self.path(sha256)
        try:
            packed = path.read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"The evidence {sha256[:12]} is not in {self._folder}.") from None
        except OSError as error:
            raise SpecError(f"{path} can't be read: {error.strerror}.", _LOST) from None
        return unpack(packed, sha256, str(path))


def unpack(packed: bytes, sha256: str, name: str) -> Evidence:
    """Evidence from its compressed form, checked against its digest; `name` stands in errors.

    Raises:
        SpecError: damaged, changed, too large, or of another version of archlab.
    """
    data = _decompress(packed, name)
    if (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise SpecError(f"{name} was changed: its digest is {found[:12]}.", _LOST)
    try:
        return Evidence.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise SpecError(f"{name} is of another version of archlab: {place}: {first['msg']}.") from None


def unpacked_bytes(packed: bytes, limit: int) -> int:
    """How much it unpacks to, counted without keeping it; stops soon after the limit. Damaged data ends the count."""
    unpacker, count = zlib.decompressobj(wbits=31), 0
    while packed and count <= limit:
        try:
            count += len(unpacker.decompress(packed, _CHUNK_BYTES))
        except zlib.error:
            break
        packed = unpacker.unconsumed_tail
    return count


def _decompress(packed: bytes, name: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        data = unpacker.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise SpecError(f"{name} is damaged: {error}.", _LOST) from None
    if unpacker.unconsumed_tail:
        raise SpecError(f"{name} unpacks to more than {MAX_BYTES // 2**20} MiB.", _LOST)
    if not unpacker.eof:
        raise SpecError(f"{name} is damaged: its end is missing.", _LOST)
    return data


_LOST = "What it graded can't be regraded."
