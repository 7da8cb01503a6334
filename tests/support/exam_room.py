"""Learners who sit an exam of a pack, hand in, and are judged; and what one of them might write."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from archlab.grading import classroom, handin, packs
from archlab.grading.classroom import Sat
from archlab.grading.content import Pack
from archlab.grading.exams import Exams
from archlab.grading.gradebook import entry_hash
from archlab.grading.packs import Codes, Order
from archlab.grading.signing import SigningKey
from archlab.spec.gradebook import Entry
from archlab.spec.grading import Evidence
from archlab.spec.pack import Anchor, ExamPack, InstructorKey
from clocks import Clocks
from synthetic import World

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
ORDER = Order("Midterm", "ten-models", 60, 2, questions=4, seeds=(3, 4), pauses=(10,), extensions=(15,))


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


def resigned(room: Class, name: str, exams: Exams, change: Callable[[Entry], Entry]) -> None:
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


def packed(path: Path, members: list[tuple[str, bytes]], how: int = zipfile.ZIP_DEFLATED) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", how) as archive:
        for name, data in members:
            archive.writestr(name, data)
    path.write_bytes(packed.getvalue())
