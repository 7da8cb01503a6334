"""Instructor's packs: made and signed, read and checked, opened by a seat's code or the instructor's key."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from archlab.errors import ConflictError, NotFoundError, SpecError, UserError
from archlab.files import write_atomic, write_model
from archlab.grading import content, sealing
from archlab.grading.canonical import canonical, digest
from archlab.grading.choosing import choose
from archlab.grading.exams import Terms, Turn
from archlab.grading.signing import SigningKey, verifies
from archlab.spec.pack import Control, ExamPack, Hidden, InstructorKey, Seat, SeatSecret

MAX_BYTES = 4 * 2**20
MAX_SEED = 2**31


@dataclass(frozen=True, slots=True)
class Order:
    """What an instructor asks for."""

    title: str
    scenario: str
    minutes: int
    seats: int
    questions: int | None = None
    blueprint: str = ""
    seeds: tuple[int, ...] = ()
    """The labs' seeds, seat by seat; drawn where they run out."""
    pauses: tuple[int, ...] = ()
    """A pause code per seat for each, that stops the clock for at most so many minutes."""
    extensions: tuple[int, ...] = ()
    """A code per seat for each, that gives so many minutes more."""


@dataclass(frozen=True, slots=True)
class Codes:
    """What the instructor keeps and reads out, for one seat."""

    seat: str
    seed: int
    start: str
    controls: tuple[tuple[str, int, str], ...]
    """Action, minutes, code."""


def create_key(path: Path) -> InstructorKey:
    """Make the instructor's keys, in a file of mode 0600.

    Raises:
        ConflictError: there is one already; it is not replaced, for what it sealed would stay closed.
    """
    if path.exists():
        raise ConflictError(f"{path} exists already.", "Keep it: without it nothing that it sealed can be opened.")
    key = InstructorKey(
        sealing=X25519PrivateKey.generate().private_bytes_raw().hex(),
        signing=Ed25519PrivateKey.generate().private_bytes_raw().hex(),
    )
    write_model(path, key)
    return key


def read_key(path: Path) -> InstructorKey:
    """The instructor's keys.

    Raises:
        NotFoundError: there are none.
        SpecError: the file is none of ours.
    """
    try:
        return InstructorKey.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist.", "Make the instructor's keys: archlab pack key") from None
    except ValidationError as error:
        raise SpecError(f"{path} is no instructor's key: {error.errors()[0]['msg']}.") from None


def public_keys(key: InstructorKey) -> tuple[str, str]:
    """Sealing and signing key, their public halves."""
    sealing_key = X25519PrivateKey.from_private_bytes(bytes.fromhex(key.sealing)).public_key().public_bytes_raw().hex()
    return sealing_key, _signing(key).public


def make(order: Order, questions: content.Pack, key: InstructorKey) -> tuple[ExamPack, tuple[Codes, ...]]:
    """A pack, and the codes that belong to it.

    Raises:
        UserError: the scenario's questions can't fill such an exam.
    """
    drawn = [_seat(order, number) for number in range(order.seats)]
    for secret, _ in drawn:
        choose_for(order.minutes, order.questions, order.blueprint, secret, questions)
    sealing_key, signing_key = public_keys(key)
    seats = [
        Seat(label=s.label, sealed=sealing.seal(canonical(s.model_dump(mode="json")), sealing_key, codes.start))
        for s, codes in drawn
    ]
    hidden = Hidden(seats=tuple(s for s, _ in drawn))
    bare = ExamPack(
        title=order.title,
        made=datetime.now(UTC),
        scenario=order.scenario,
        content=questions.version,
        minutes=order.minutes,
        questions=order.questions,
        blueprint=order.blueprint,
        seats=tuple(seats),
        controls=tuple(_control(codes.seat, *control) for _, codes in drawn for control in codes.controls),
        hidden=sealing.seal(canonical(hidden.model_dump(mode="json")), sealing_key),
        sealing_key=sealing_key,
        signing_key=signing_key,
        signature="0" * 128,
    )
    signed = bare.model_copy(update={"signature": _signing(key).sign(_statement(bare))})
    return signed, tuple(codes for _, codes in drawn)


def read(path: Path) -> ExamPack:
    """A pack from its file.

    Raises:
        NotFoundError: there is no such file.
        SpecError: it is none, too large, or not as it was signed.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise NotFoundError(f"{path} can't be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise SpecError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: no pack.")
    try:
        pack = ExamPack.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise SpecError(f"{path} is no pack: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}.") from None
    if not verifies(pack.signing_key, pack.signature, _statement(pack)):
        raise SpecError(f"{path} was changed after its instructor signed it.", "Ask for it again.")
    return pack


def pack_digest(pack: ExamPack) -> str:
    """What a gradebook names a pack by."""
    return digest(pack.model_dump(mode="json"))


def keep(pack: ExamPack, lab: Path) -> None:
    """Keep a pack in the lab's folder, for its control codes."""
    write_atomic(_kept(lab, pack_digest(pack)), canonical(pack.model_dump(mode="json")))


def kept(lab: Path, sha256: str) -> ExamPack:
    """The pack that an exam was started from."""
    pack = read(_kept(lab, sha256))
    if pack_digest(pack) != sha256:
        raise SpecError(f"{_kept(lab, sha256)} is another pack than the one that the exam was started from.")
    return pack


def terms(pack: ExamPack, code: str, questions: content.Pack) -> Terms:
    """What a seat's start code opens.

    Raises:
        ConflictError: the pack was made for other questions than these.
        ClosedError: no seat opens with it.
    """
    refuse_other_content(pack, questions)
    for seat in pack.seats:
        try:
            secret = SeatSecret.model_validate_json(sealing.open_with_code(seat.sealed, code))
        except sealing.ClosedError:
            continue
        return terms_of(pack, secret, questions)
    raise sealing.ClosedError(
        "No seat of this pack opens with that code.", "Type the start code as the instructor gave it: --code CODE"
    )


def terms_of(pack: ExamPack, secret: SeatSecret, questions: content.Pack) -> Terms:
    """What a seat is asked."""
    chosen = choose_for(pack.minutes, pack.questions, pack.blueprint, secret, questions)
    return Terms(pack.minutes, chosen, secret.selection_seed, pack_digest(pack), secret.label, secret.seed)


def turn(pack: ExamPack, seat: str, action: str, code: str) -> Turn:
    """What a control code does.

    Raises:
        UserError: it is no code of that seat for that.
    """
    wanted = sealing.code_digest(seat, action, code)
    for control in pack.controls:
        if secrets.compare_digest(control.code_sha256, wanted) and (control.seat, control.action) == (seat, action):
            return Turn(action, control.minutes, sealing.tidy(code))
    raise UserError(f"That is no code of seat {seat} to {action} the clock.", "Ask the instructor for one.")


def hidden(pack: ExamPack, key: InstructorKey) -> Hidden:
    """What only the instructor sees.

    Raises:
        ClosedError: the pack was sealed to another key.
        SpecError: another version of archlab sealed it.
    """
    try:
        return Hidden.model_validate_json(sealing.open_with_key(pack.hidden, key.sealing))
    except ValidationError:
        raise SpecError(
            f"What is sealed in the pack {pack.title!r} is of another version of archlab.",
            "Grade with the version that made it.",
        ) from None


def choose_for(
    minutes: int, count: int | None, blueprint: str, secret: SeatSecret, questions: content.Pack
) -> tuple[str, ...]:
    """The questions of a seat."""
    chosen = choose(
        questions.questions, minutes=minutes, count=count, seed=secret.selection_seed, exam=blueprint or None
    )
    return tuple(q.id for q in chosen)


def refuse_other_content(pack: ExamPack, questions: content.Pack) -> None:
    """Only the questions that a pack was made for.

    Raises:
        ConflictError: they are others.
    """
    if pack.content != questions.version:
        raise ConflictError(
            f"The pack was made for questions and graders {pack.content}; these are {questions.version}.",
            "Use the version of archlab that the instructor names.",
        )


def _seat(order: Order, number: int) -> tuple[SeatSecret, Codes]:
    label = f"seat-{number + 1}"
    seed = order.seeds[number] if number < len(order.seeds) else secrets.randbelow(MAX_SEED)
    secret = SeatSecret(label=label, seed=seed, selection_seed=secrets.randbelow(MAX_SEED))
    asked: Sequence[tuple[str, int]] = [
        *(("pause", minutes) for minutes in order.pauses),
        *(("extend", minutes) for minutes in order.extensions),
    ]
    controls = tuple((action, minutes, sealing.new_code()) for action, minutes in asked)
    return secret, Codes(label, seed, sealing.new_code(), controls)


def _control(seat: str, action: str, minutes: int, code: str) -> Control:
    return Control.model_validate(
        {
            "seat": seat,
            "action": action,
            "minutes": minutes,
            "code_sha256": sealing.code_digest(seat, action, code),
        }
    )


def _statement(pack: ExamPack) -> str:
    return digest(pack.model_dump(mode="json", exclude={"signature"}))


def _signing(key: InstructorKey) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key.signing)))


def _kept(lab: Path, sha256: str) -> Path:
    return lab / "exam-packs" / f"{sha256}.json"
