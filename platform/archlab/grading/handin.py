"""What a learner hands in: a ZIP of gradebook and evidence, written here and read with suspicion elsewhere.

Reading never unpacks to disk, takes only the names it knows, and stops at limits whatever the archive claims.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from archlab import __version__
from archlab.errors import NotFoundError, SpecError
from archlab.files import write_atomic
from archlab.grading import gradebook
from archlab.grading.canonical import canonical, digest
from archlab.grading.signing import SigningKey, verifies
from archlab.grading.store import EvidenceStore, unpack, unpacked_bytes
from archlab.spec.gradebook import Attempt, Entry, ExamAnswered, ExamFinished, ExamStarted, Forecast
from archlab.spec.grading import Evidence
from archlab.spec.pack import HandIn

MAX_FILE_BYTES = 64 * 2**20
MAX_DIRECTORY_BYTES = 2**20
MAX_BOOK_BYTES = 16 * 2**20
MAX_EVIDENCE_BYTES = 8 * 2**20
"""Of one piece, compressed."""
MAX_UNPACKED_BYTES = 512 * 2**20
"""Of all evidence together."""
MAX_MEMBERS = 3000
_EVIDENCE = re.compile(r"evidence/([0-9a-f]{64})\.json\.gz")
_BOOK, _ABOUT = "gradebook.jsonl", "hand-in.json"


@dataclass(frozen=True, slots=True)
class Received:
    """A hand-in as read; what it says is the learner's word until it is checked."""

    about: HandIn
    entries: tuple[Entry, ...]
    check: gradebook.Verification
    signed: bool
    """Whether `about` carries the signature of the gradebook's key and names its head."""
    evidence: Mapping[str, bytes]

    def get(self, sha256: str) -> Evidence:
        """Evidence by its digest.

        Raises:
            NotFoundError: it was not handed in.
            SpecError: it is damaged, changed or too large.
        """
        if sha256 not in self.evidence:
            raise NotFoundError(f"The evidence {sha256[:12]} was not handed in.")
        return unpack(self.evidence[sha256], sha256, f"evidence {sha256[:12]}")


def write(
    path: Path, lab: Path, *, learner: str, name: str, scenario: str, seed: int, book: gradebook.Gradebook
) -> HandIn:
    """Write a lab's gradebook with the evidence that it names.

    Raises:
        SpecError: the gradebook is broken, or the name is none.
        NotFoundError: it is empty.
    """
    entries = book.entries()
    if not entries:
        raise NotFoundError("The gradebook is empty: there is nothing to hand in.", "Answer first: archlab quiz")
    key = SigningKey.of_file(lab / "keys" / "gradebook.pem")
    try:
        bare = HandIn(
            learner=learner,
            lab=name,
            scenario=scenario,
            seed=seed,
            code_version=__version__,
            made=datetime.now(UTC),
            entries=len(entries),
            head=entries[-1].hash,
            key=key.public,
            signature="0" * 128,
        )
    except ValidationError:
        raise SpecError(
            f"{learner!r} can't be a name in a hand-in.", "Give 1 to 100 printable characters: --name 'Ada Lovelace'"
        ) from None
    about = bare.model_copy(update={"signature": key.sign(_statement(bare))})
    store, packed = EvidenceStore(lab / "evidence"), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ABOUT, canonical(about.model_dump(mode="json")))
        archive.writestr(_BOOK, b"".join(canonical(e.model_dump(mode="json")) + b"\n" for e in entries))
        for sha256 in sorted(_named(entries)):
            if store.path(sha256).exists():
                archive.writestr(
                    zipfile.ZipInfo(f"evidence/{sha256}.json.gz"), store.path(sha256).read_bytes(), zipfile.ZIP_STORED
                )
    write_atomic(path, packed.getvalue())
    return about


def read(path: Path) -> Received:
    """A hand-in from its file.

    Raises:
        SpecError: it is none, or goes beyond a limit; names which.
    """
    if path.is_symlink() or not path.is_file():
        raise SpecError(f"{path.name} is no plain file.")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SpecError(f"{path.name} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
    members = _members(path)
    try:
        about = HandIn.model_validate_json(members.pop(_ABOUT))
        data = members.pop(_BOOK)
    except KeyError as error:
        raise SpecError(f"{path.name} has no {error.args[0]}: no hand-in.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise SpecError(f"{path.name}: {_ABOUT}: {place}: {first['msg']}.") from None
    entries, check = gradebook.read(data, about.key)
    signed = verifies(about.key, about.signature, _statement(about)) and (about.head, about.entries) == (
        check.head,
        check.entries,
    )
    evidence = {name.removeprefix("evidence/").removesuffix(".json.gz"): data for name, data in members.items()}
    _refuse_large_evidence(evidence.values(), path.name)
    return Received(about, entries, check, signed, evidence)


def _members(path: Path) -> dict[str, bytes]:
    """Contents by name, each within its limit."""
    try:
        data = path.read_bytes()
        _refuse_large_directory(data, path.name)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if len(infos) > MAX_MEMBERS:
                raise SpecError(f"{path.name} holds {len(infos)} files; at most {MAX_MEMBERS} are read.")
            found: dict[str, bytes] = {}
            left = MAX_FILE_BYTES
            for info in infos:
                if info.filename in found:
                    raise SpecError(f"{path.name} holds {info.filename!r} twice.")
                found[info.filename] = _member(archive, info, path.name)
                left -= len(found[info.filename])
                if left < 0:
                    raise SpecError(f"{path.name} unpacks to more than {MAX_FILE_BYTES // 2**20} MiB.")
            return found
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SpecError(f"{path.name} is no readable ZIP: {error}.") from None


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    limits = {_ABOUT: 64 * 1024, _BOOK: MAX_BOOK_BYTES}
    limit = MAX_EVIDENCE_BYTES if _EVIDENCE.fullmatch(info.filename) else limits.get(info.filename)
    if limit is None:
        raise SpecError(f"{name} holds {info.filename[:80]!r}, which belongs to no hand-in.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SpecError(f"{name}: {info.filename} is packed in a way that hand-ins are not.")
    with archive.open(info) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise SpecError(f"{name}: {info.filename} unpacks to more than {limit // 1024} KiB.")
    return data


def _refuse_large_directory(data: bytes, name: str) -> None:
    """Before it is read at all: a ZIP's list of files may itself be millions of entries."""
    end = data.rfind(b"PK\x05\x06", max(0, len(data) - 65_557))
    if end < 0 or len(data) < end + 22:
        raise SpecError(f"{name} is no ZIP.")
    size = struct.unpack_from("<I", data, end + 12)[0]
    if size > MAX_DIRECTORY_BYTES or data[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise SpecError(f"{name} lists more files than a hand-in has.")


def _refuse_large_evidence(pieces: Iterable[bytes], name: str) -> None:
    """Each piece has its limit when it is opened; this one is of all, so that grading ends."""
    left = MAX_UNPACKED_BYTES
    for piece in pieces:
        left -= unpacked_bytes(piece, left)
        if left < 0:
            raise SpecError(f"The evidence in {name} unpacks to more than {MAX_UNPACKED_BYTES // 2**20} MiB.")


def _named(entries: Sequence[Entry]) -> set[str]:
    kinds = (Attempt, Forecast, ExamStarted, ExamAnswered, ExamFinished)
    return {e.evidence for e in entries if isinstance(e, kinds) and e.evidence}


def _statement(about: HandIn) -> str:
    return digest(about.model_dump(mode="json", exclude={"signature"}))
