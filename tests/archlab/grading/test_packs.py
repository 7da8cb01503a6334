"""Packs from key to class report: made, sat, handed in, judged elsewhere; and what a learner might try."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.errors import ConflictError, SpecError, UserError
from archlab.grading import blueprints, classroom, handin, packs, pages, sealing
from archlab.grading.classroom import Sat
from archlab.grading.content import Pack, load
from archlab.grading.exams import Exams, Terms, Turn
from archlab.grading.gradebook import entry_hash
from archlab.grading.packs import Codes, Order
from archlab.grading.practice import Practice
from archlab.grading.sealing import ClosedError
from archlab.grading.signing import SigningKey
from archlab.spec.gradebook import Entry, ExamAnswered, ExamFinished
from archlab.spec.grading import Evidence, Verdict
from archlab.spec.pack import Anchor, ExamPack, InstructorKey
from clocks import Clocks
from synthetic import World, ten_models

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANSWERS = {
    "cheapest-resilient": "every-30-minutes",
    "dearest-answer": "flight-time,delay-recovery,missed-connection,aircraft-reliability",
    "split-the-platform": "operations",
    "break-even-volume": "12",
    "second-replica": "departure-delay,missed-connection",
    "beyond-rescue": "none",
    "half-hourly": "airport-congestion",
    "leave-the-pool": "less",
    "worth-a-slice": "none",
    "missed-run": "none",
}


@pytest.fixture(scope="module")
def questions() -> Pack:
    return load(ten_models())


@pytest.fixture
def key(tmp_path: Path) -> InstructorKey:
    return packs.create_key(tmp_path / "instructor" / "key.json")


ORDER = Order("Midterm", "ten-models", 60, 2, questions=4, seeds=(3, 4), pauses=(10,), extensions=(15,))


@pytest.fixture
def made(questions: Pack, key: InstructorKey) -> tuple[ExamPack, tuple[Codes, ...]]:
    return packs.make(ORDER, questions, key)


class Class:
    """Learners who sit an exam."""

    def __init__(self, folder: Path, questions: Pack, made: tuple[ExamPack, tuple[Codes, ...]]) -> None:
        self.folder, self.questions = folder, questions
        self.pack, self.codes = made
        self.handed_in = folder / "handed-in"
        self.handed_in.mkdir()

    def exams(self, name: str, seed: int, clocks: Clocks | None = None) -> Exams:
        """A lab of that seed."""

        def collect() -> Evidence:
            return World(seed=seed).evidence().model_copy(update={"taken": datetime.now(UTC)})

        clock = (clocks.now,) if clocks else ()
        return Exams(self.questions, self.folder / name, collect, *clock)

    def sit(self, name: str, seat: int, *, right: int = 99, seed: int | None = None) -> Exams:
        """Start from the pack, answer (the first `right` ones), finish."""
        codes = self.codes[seat]
        exams = self.exams(name, codes.seed if seed is None else seed)
        terms = packs.terms(self.pack, codes.start, self.questions)
        sitting = exams.start(terms)
        for question in [q for q in sitting.started.questions if q in ANSWERS][:right]:
            exams.answer(question, ANSWERS[question])
        exams.finish()
        return exams

    def hand_in(self, name: str, exams: Exams, learner: str | None = None) -> Path:
        """The learner's file."""
        path = self.handed_in / f"{name}.zip"
        lab = self.folder / name
        handin.write(
            path, lab, learner=learner or name, name=name, scenario="ten-models", seed=3, book=exams.book
        )  # fmt: skip
        return path

    def grade(self, key: InstructorKey, anchors: tuple[Anchor, ...] = ()) -> tuple[Sat, ...]:
        """On the instructor's machine."""
        return classroom.grade_folder(self.handed_in, self.pack, packs.hidden(self.pack, key), self.questions, anchors)


@pytest.fixture
def room(tmp_path: Path, questions: Pack, made: tuple[ExamPack, tuple[Codes, ...]]) -> Class:
    return Class(tmp_path, questions, made)


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


def test_a_class_is_judged_from_what_it_handed_in(room: Class, key: InstructorKey) -> None:
    room.hand_in("ada", room.sit("ada", 0))
    room.hand_in("bob", room.sit("bob", 1, right=1))
    ada, bob = room.grade(key)
    assert (ada.learner, ada.seat, ada.doubts) == ("ada", "seat-1", ())
    assert (bob.learner, bob.seat, bob.doubts) == ("bob", "seat-2", ())
    assert ada.possible > 0
    assert ada.sitting is not None
    assert ada.sitting.finished is not None
    assert ada.marks == ada.sitting.finished.marks
    found = classroom.statistics((ada, bob), room.questions)
    assert {i.question for i in found} == {m.question for s in (ada, bob) for m in s.marks}
    assert all(i.discrimination is None for i in found)


def test_heads_are_anchored_and_a_cut_gradebook_shows(room: Class, key: InstructorKey) -> None:
    exams = room.sit("ada", 0)
    room.hand_in("ada", exams)
    anchors = classroom.new_anchors(room.grade(key), room.pack, (), NOW)
    assert [(a.learner, a.sequence) for a in anchors] == [("ada", len(exams.book.entries()))]
    assert room.grade(key, anchors)[0].doubts == ()
    assert classroom.new_anchors(room.grade(key, anchors), room.pack, anchors, NOW) == ()
    whole = exams.book.path.read_bytes().splitlines(keepends=True)
    exams.book.path.write_bytes(b"".join(whole[:-1]))
    room.hand_in("ada", exams)
    assert any("is not in this gradebook" in d for d in room.grade(key, anchors)[0].doubts)


def test_another_key_is_a_doubt_in_the_same_pack_alone(room: Class, key: InstructorKey) -> None:
    room.hand_in("ada", room.sit("ada", 0))
    anchors = classroom.new_anchors(room.grade(key), room.pack, (), NOW)
    room.hand_in("ada-again", room.sit("ada-again", 1), learner="ada")
    (room.handed_in / "ada.zip").unlink()
    assert any("signed by another key" in d for d in room.grade(key, anchors)[0].doubts)
    elsewhere = tuple(a.model_copy(update={"pack": "another"}) for a in anchors)
    assert room.grade(key, elsewhere)[0].doubts == ()


def _resigned(room: Class, name: str, exams: Exams, change: Callable[[Entry], Entry]) -> None:
    """What a learner can do who has read the code: change lines, hash and sign them anew."""
    key = SigningKey.of_file(room.folder / name / "keys" / "gradebook.pem")
    previous, lines = "0" * 64, []
    for entry in exams.book.entries():
        changed = change(entry).model_copy(update={"previous": previous})
        changed = changed.model_copy(update={"hash": entry_hash(changed)})
        changed = changed.model_copy(update={"signature": key.sign(changed.hash)})
        previous = changed.hash
        lines.append(changed.model_dump_json())
    exams.book.path.write_text("\n".join(lines) + "\n")


def test_points_written_into_the_gradebook_do_not_count(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=0)

    def full(entry: Entry) -> Entry:
        if not isinstance(entry, ExamFinished):
            return entry
        marks = tuple(m.model_copy(update={"points": float(m.possible)}) for m in entry.marks)
        return entry.model_copy(update={"marks": marks})

    _resigned(room, "eve", exams, full)
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert eve.points < eve.possible
    assert sum("the gradebook says" in d for d in eve.doubts) == 4


def test_an_answer_that_nobody_could_type_is_no_error(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=1)
    _resigned(
        room,
        "eve",
        exams,
        lambda e: e.model_copy(update={"answer": {"a": [1]}}) if isinstance(e, ExamAnswered) else e,
    )
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert Verdict.INVALID in {m.verdict for m in eve.marks}


def test_what_does_not_fit_the_pack_is_pointed_at(room: Class, key: InstructorKey, questions: Pack) -> None:
    terms = packs.terms(room.pack, room.codes[0].start, questions)
    exams = room.exams("eve", 8)
    exams.start(replace(terms, seed=None, minutes=90, questions=("cheapest-resilient",)))
    exams.turn(Turn("extend", 600, "MADE-UP"))
    room.hand_in("eve", exams)
    doubts = "\n".join(room.grade(key)[0].doubts)
    for text in (
        "lab has seed 8; the seat has 3",
        "Other questions",
        "90 minutes; the pack gives 60",
        "without a code",
        "not finished",
    ):
        assert text in doubts


def test_time_and_questions_are_those_of_the_seat(room: Class, key: InstructorKey, questions: Pack) -> None:
    clocks = Clocks()
    terms = packs.terms(room.pack, room.codes[0].start, questions)
    exams = room.exams("eve", 3, clocks)
    easy = next(q for q in terms.questions if q in ANSWERS)
    exams.start(replace(terms, minutes=120, questions=(easy,)))
    exams.turn(Turn("extend", 60, "MADE-UP"))
    clocks.run(minutes=61)
    exams.answer(easy, ANSWERS[easy])
    exams.finish()
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert tuple(m.question for m in eve.marks) == terms.questions
    assert eve.points == 0
    assert any("1 answers were recorded after time was up" in d for d in eve.doubts)


def test_evidence_that_is_kept_back_earns_nothing(room: Class, key: InstructorKey) -> None:
    exams = room.sit("eve", 0, right=1)
    before = exams.finished().finished
    assert before is not None
    exams.store.path(exams.finished().pictures[1]).unlink()
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert eve.possible == sum(m.possible for m in before.marks)
    assert any("was not handed in" in d for d in eve.doubts)
    assert Verdict.PLATFORM_ERROR in {m.verdict for m in eve.marks}


def test_questions_judged_before_the_exam_are_named(room: Class, key: InstructorKey, questions: Pack) -> None:
    exams = room.exams("eve", 3)
    asked = packs.terms(room.pack, room.codes[0].start, questions).questions
    practised = next(q for q in asked if q in ANSWERS)
    practice = Practice(questions, room.folder / "eve", World(seed=3).evidence)
    practice.answer(practised, ANSWERS[practised])
    exams.start(packs.terms(room.pack, room.codes[0].start, questions))
    exams.finish()
    room.hand_in("eve", exams)
    assert f"Before the exam this lab had judged {practised}." in room.grade(key)[0].doubts


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
    _zip(path, list(members.items()))
    ada, eve = room.grade(key)
    assert ada.doubts == ()
    assert "line 2" in eve.doubts[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [({"uptime_ms": 10**17}, "It could not be judged"), ({"wall_time": datetime(1, 1, 1, tzinfo=UTC)}, "Clock: ")],
)
def test_moments_that_never_were_do_not_stop_the_class(
    room: Class, key: InstructorKey, change: dict[str, object], said: str
) -> None:
    exams = room.sit("eve", 0)
    _resigned(room, "eve", exams, lambda e: e.model_copy(update=change) if e.sequence == 2 else e)
    room.hand_in("eve", exams)
    (eve,) = room.grade(key)
    assert any(d.startswith(said) for d in eve.doubts)


def test_one_seat_sat_twice_and_one_lab_handed_in_twice(room: Class, key: InstructorKey) -> None:
    ada = room.sit("ada", 0)
    room.hand_in("ada", ada)
    (room.handed_in / "copy.zip").write_bytes((room.handed_in / "ada.zip").read_bytes())
    doubts = [" ".join(s.doubts) for s in room.grade(key)]
    assert all("same key" in d and "sat on seat-1" in d for d in doubts)


def test_a_hand_in_without_an_exam_of_the_pack(room: Class, key: InstructorKey) -> None:
    exams = room.exams("ada", 3)
    exams.start(Terms(60, ("cheapest-resilient",), 1))
    exams.finish()
    room.hand_in("ada", exams)
    (ada,) = room.grade(key)
    assert (ada.marks, ada.doubts) == ((), ("No exam of this pack was sat.",))


def _zip(path: Path, members: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    path.write_bytes(packed.getvalue())


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
            _zip(path, [("hand-in.json", b"{}"), ("hand-in.json", b"{}")])
    else:
        _zip(path, members[case], zipfile.ZIP_LZMA if case == "lzma" else zipfile.ZIP_DEFLATED)
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


def test_pages_hold_back_what_a_learner_wrote(room: Class, key: InstructorKey) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    room.hand_in("eve", room.sit("eve", 0), learner=name)
    sat = room.grade(key)
    known = blueprints.load()
    learner = pages.learner_page(sat[0], room.pack, room.questions, known)
    found = classroom.statistics(sat, room.questions)
    whole = pages.class_page(sat, found, room.pack, room.questions, known, ["learner-001.html"], NOW)
    for page in (learner, whole):
        assert "<script" not in page
        assert "<img" not in page
        assert "&lt;script&gt;alert(1)" in page
        assert "default-src 'none'" in page
        assert "http" not in page.replace("http-equiv", "")
    assert "Midterm" in whole


def test_a_page_of_what_could_not_be_read(room: Class, key: InstructorKey) -> None:
    (room.handed_in / "<b>x.zip").write_text("hello")
    sat = room.grade(key)
    page = pages.learner_page(sat[0], room.pack, room.questions, blueprints.load())
    assert "<b>x" not in page
    assert "is no ZIP" in page


def test_how_well_a_question_separates() -> None:
    pairs = [(1.0, 0.9), (1.0, 0.8), (0.0, 0.2), (0.0, 0.1), (1.0, 0.7)]
    assert classroom._correlation(pairs) == pytest.approx(0.98, abs=0.02)
    assert classroom._correlation([(x, 1 - y) for x, y in pairs]) == pytest.approx(-0.98, abs=0.02)
    assert classroom._correlation(pairs[:4]) is None
    assert classroom._correlation([(1.0, y) for _, y in pairs]) is None


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
    _zip(path, list(members.items()))
    assert not handin.read(path).signed
