"""What is handed in is read with limits: hostile files do no harm, and their learner alone is told."""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from pathlib import Path

import pytest

from archlab.errors import SpecError
from archlab.grading import handin
from archlab.grading.exams import Terms
from archlab.spec.pack import InstructorKey
from exam_room import Class, packed


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (rb'"answer":("[^"]*"|[^,]*)', b'"answer":NaN'),
        (rb'"answer":("[^"]*"|[^,]*)', b'"answer":' + b"9" * 5000),
        (rb'"answer":("[^"]*"|[^,]*)', b'"answer":' + b"[" * 5000 + b"]" * 5000),
        (rb'"uptime_ms":', b'"uptime_ms":' + b"9" * 30),
        (rb'"wall_time":"20', b'"wall_time":"00'),
        (rb"^{", b"\xff{"),
    ],
)
def test_a_line_of_nonsense_ends_the_chain_and_not_the_class(
    room: Class, key: InstructorKey, was: bytes, becomes: bytes
) -> None:
    room.hand_in("ada", room.sit("ada", 0))
    path = room.hand_in("eve", room.sit("eve", 1, right=1))
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    lines = members["gradebook.jsonl"].splitlines(keepends=True)
    lines[1], count = re.subn(was, becomes, lines[1], count=1)
    assert count == 1
    members["gradebook.jsonl"] = b"".join(lines)
    packed(path, list(members.items()))
    ada, eve = room.grade(key)
    assert ada.doubts == ()
    assert "line 2" in eve.doubts[0]


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("text", "is no ZIP"),
        ("empty", "has no hand-in.json"),
        ("traversal", "belongs to no hand-in"),
        ("absolute", "belongs to no hand-in"),
        ("bomb", "unpacks to more than"),
        ("evidence bomb", "unpacks to more than"),
        ("many", "at most 3000"),
        ("twice", "twice"),
        ("lzma", "packed in a way"),
        ("about", "hand-in.json: format"),
        ("cut", "is no"),
        ("link", "is no plain file"),
    ],
)
def test_hostile_files_are_named_and_do_no_harm(
    room: Class, key: InstructorKey, tmp_path: Path, case: str, said: str
) -> None:
    path = room.handed_in / "eve.zip"
    evidence = f"evidence/{'a' * 64}.json.gz"
    members: dict[str, list[tuple[str, bytes]]] = {
        "empty": [],
        "traversal": [("../../escaped", b"x")],
        "absolute": [("/tmp/escaped", b"x")],
        "bomb": [("hand-in.json", b"{}"), ("gradebook.jsonl", bytes(40 * 2**20))],
        "evidence bomb": [(evidence, bytes(20 * 2**20))],
        "many": [(f"evidence/{n:064x}.json.gz", b"") for n in range(3001)],
        "about": [("hand-in.json", b'{"format": "other"}'), ("gradebook.jsonl", b"")],
        "cut": [("hand-in.json", b"{}"), ("gradebook.jsonl", b"x" * 1000)],
        "lzma": [("hand-in.json", b"{}")],
    }
    if case == "text":
        path.write_text("hello")
    elif case == "link":
        (tmp_path / "elsewhere.zip").write_text("x")
        path.symlink_to(tmp_path / "elsewhere.zip")
    elif case == "twice":
        with pytest.warns(UserWarning, match="Duplicate"):
            packed(path, [("hand-in.json", b"{}"), ("hand-in.json", b"{}")])
    else:
        packed(path, members[case], zipfile.ZIP_LZMA if case == "lzma" else zipfile.ZIP_DEFLATED)
    if case == "cut":
        path.write_bytes(path.read_bytes()[:-60])
    (eve,) = room.grade(key)
    assert said in eve.doubts[0]
    assert eve.received is None
    assert not list(tmp_path.rglob("escaped*"))


def test_evidence_that_unpacks_without_end_is_refused(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=1)
    sha256 = exams.finished().pictures[0]
    exams.store.path(sha256).write_bytes(gzip.compress(bytes(80 * 2**20)))
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert any("unpacks to more than 64 MiB" in d for d in eve.doubts)


def test_evidence_that_adds_up_without_end_is_refused(room: Class, key: InstructorKey) -> None:
    path = room.hand_in("eve", room.sit("eve", 0))
    bomb = gzip.compress(bytes(60 * 2**20))
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(9):
            archive.writestr(f"evidence/{number:064x}.json.gz", bomb)
    (eve,) = room.grade(key)
    assert "unpacks to more than 512 MiB" in eve.doubts[0]


@pytest.mark.parametrize("name", ["", "x" * 101, "line\u2028line", "turned\u202eround", "bell\a"])
def test_names_that_would_mislead_are_refused(room: Class, name: str) -> None:
    exams = room.exams("ada", 3)
    exams.start(Terms(60, ("cheapest-resilient",), 1))
    with pytest.raises(SpecError, match="can't be a name"):
        handin.write(
            room.folder / "x.zip", room.folder / "ada", learner=name, name="x", scenario="x", seed=3, book=exams.book
        )


def test_a_hand_in_names_its_head(room: Class) -> None:
    exams = room.sit("ada", 0)
    path = room.hand_in("ada", exams)
    received = handin.read(path)
    assert received.signed
    assert received.about.head == exams.book.verify().head
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    about = json.loads(members["hand-in.json"])
    members["hand-in.json"] = json.dumps({**about, "learner": "someone else"}).encode()
    packed(path, list(members.items()))
    assert not handin.read(path).signed
