"""Packs: keys, seats, codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import ConflictError, SpecError, UserError
from archlab.grading import packs, sealing
from archlab.grading.content import Pack
from archlab.grading.packs import Codes
from archlab.grading.sealing import ClosedError
from archlab.spec.pack import ExamPack, InstructorKey


def test_keys_are_private_and_never_replaced(tmp_path: Path, key: InstructorKey) -> None:
    path = tmp_path / "instructor" / "key.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert packs.read_key(path) == key
    with pytest.raises(ConflictError, match="exists already"):
        packs.create_key(path)


def test_a_pack_does_not_show_what_is_sealed_in_it(
    made: tuple[ExamPack, tuple[Codes, ...]], key: InstructorKey
) -> None:
    pack, codes = made
    text = pack.model_dump_json()
    for secret in (*(c.start for c in codes), *(k for c in codes for _, _, k in c.controls)):
        assert secret not in text
    assert [(s.label, s.seed) for s in packs.hidden(pack, key).seats] == [("seat-1", 3), ("seat-2", 4)]


def test_a_seat_opens_with_its_code_alone(
    made: tuple[ExamPack, tuple[Codes, ...]], questions: Pack, key: InstructorKey
) -> None:
    pack, codes = made
    terms = packs.terms(pack, codes[1].start, questions)
    assert (terms.seat, terms.seed, terms.minutes, len(terms.questions)) == ("seat-2", 4, 60, 4)
    secret = packs.hidden(pack, key).seats[1]
    assert packs.terms_of(pack, secret, questions) == terms
    with pytest.raises(ClosedError, match="No seat"):
        packs.terms(pack, "0000-0000-0000-0000", questions)
    with pytest.raises(ConflictError, match="was made for questions"):
        packs.terms(pack.model_copy(update={"content": "other"}), codes[1].start, questions)


def test_what_another_version_sealed_is_said_to_be_so(
    made: tuple[ExamPack, tuple[Codes, ...]], key: InstructorKey
) -> None:
    box = sealing.seal(b'{"format": "archlab/hidden/v2"}', packs.public_keys(key)[0])
    with pytest.raises(SpecError, match="another version of archlab"):
        packs.hidden(made[0].model_copy(update={"hidden": box}), key)


def test_a_changed_pack_is_refused(tmp_path: Path, made: tuple[ExamPack, tuple[Codes, ...]]) -> None:
    path = tmp_path / "exam.pack"
    path.write_text(made[0].model_dump_json())
    assert packs.read(path) == made[0]
    path.write_text(made[0].model_dump_json().replace('"minutes":60', '"minutes":90', 1))
    with pytest.raises(SpecError, match="changed after"):
        packs.read(path)
    path.write_text("{}")
    with pytest.raises(SpecError, match="is no pack: "):
        packs.read(path)


def test_control_codes_are_of_one_seat_and_one_action(made: tuple[ExamPack, tuple[Codes, ...]]) -> None:
    pack, codes = made
    (_, _, pause), (_, _, extend) = codes[0].controls
    assert packs.turn(pack, "seat-1", "pause", pause.lower()).minutes == 10
    assert packs.turn(pack, "seat-1", "extend", extend).minutes == 15
    for seat, action, code in (
        ("seat-2", "pause", pause),
        ("seat-1", "extend", pause),
        ("seat-1", "pause", "nonsense"),
    ):
        with pytest.raises(UserError, match="no code of seat"):
            packs.turn(pack, seat, action, code)
