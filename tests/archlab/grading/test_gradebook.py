"""The gradebook: chained, append-only, and whole after a kill at any byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from archlab.errors import SpecError
from archlab.grading.gradebook import GENESIS, Gradebook, entry_hash
from archlab.grading.signing import SigningKey, verifies
from archlab.spec.gradebook import Attempt, Forecast, HintUse
from archlab.spec.grading import Verdict
from archlab.spec.scenario import Variant


def _hint(book: Gradebook, number: int = 1) -> HintUse:
    return book.append(HintUse, question="pick", hint=number, cost_percent=10)


def _attempt(book: Gradebook) -> Attempt:
    return book.append(
        Attempt,
        question="pick",
        answer=["a", 1.5],
        verdict=Verdict.PARTIAL,
        points=2.5,
        message="Café — close",
        evidence="a" * 64,
        variant=Variant(seed=1, chosen={"x": 0.1}),
        grader_version="1",
    )


@pytest.fixture
def book(tmp_path: Path) -> Gradebook:
    return Gradebook(tmp_path / "gradebook.jsonl", tmp_path / "keys" / "gradebook.pem")


def test_entries_come_back_as_they_were_and_are_chained(book: Gradebook) -> None:
    written = (_hint(book), _attempt(book), book.append(Forecast, question="q", answer=3.0, evidence="b" * 64))
    assert book.entries() == written
    assert [e.sequence for e in written] == [1, 2, 3]
    assert [e.previous for e in written] == [GENESIS, written[0].hash, written[1].hash]
    assert all(e.hash == entry_hash(e) for e in written)
    assert book.verify().head == written[-1].hash


def test_an_empty_gradebook_is_whole(book: Gradebook) -> None:
    assert (book.entries(), book.verify().fault) == ((), "")


def test_a_line_carries_a_signature_by_the_labs_key(book: Gradebook, tmp_path: Path) -> None:
    entry = _attempt(book)
    key = tmp_path / "keys" / "gradebook.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert entry.key == book.verify().key == SigningKey.of_file(key).public
    assert verifies(entry.key, entry.signature, entry.hash)


def test_a_line_hashed_anew_but_not_signed_is_found(book: Gradebook) -> None:
    changed = _attempt(book).model_copy(update={"points": 9.5})
    changed = changed.model_copy(update={"hash": entry_hash(changed)})
    book.path.write_text(changed.model_dump_json() + "\n")
    assert book.verify().fault == "line 1 does not carry the signature of its key."


def test_another_labs_gradebook_is_not_taken_for_ours(book: Gradebook, tmp_path: Path) -> None:
    other = Gradebook(tmp_path / "other" / "gradebook.jsonl", tmp_path / "other" / "gradebook.pem")
    _attempt(other)
    _attempt(book)
    book.path.write_bytes(other.path.read_bytes())
    assert book.verify().fault == "line 1 is signed by another key than this lab's gradebook key."


def test_without_its_key_a_gradebook_reads_and_takes_no_further_line(book: Gradebook, tmp_path: Path) -> None:
    _attempt(book)
    (tmp_path / "keys" / "gradebook.pem").unlink()
    assert len(Gradebook(book.path, tmp_path / "keys" / "gradebook.pem").entries()) == 1
    with pytest.raises(SpecError, match="is gone"):
        _hint(book)
    assert book.verify().entries == 1


def test_the_unsigned_format_is_named(book: Gradebook) -> None:
    book.path.write_text(json.dumps({"format": "archlab/attempt/v1"}, separators=(",", ":")) + "\n")
    assert "first, unsigned format" in book.verify().fault


def test_a_foreign_file_is_no_key(book: Gradebook, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "gradebook.pem").write_text("hello")
    with pytest.raises(SpecError, match="no Ed25519 key"):
        _hint(book)


@pytest.mark.parametrize("tampering", ["points", "removed", "swapped", "garbage", "rehashed"])
def test_tampering_is_found_and_the_line_named(book: Gradebook, tampering: str) -> None:
    for _ in range(3):
        _attempt(book)
    lines = book.path.read_text().splitlines()
    if tampering == "points":
        lines[1] = lines[1].replace('"points":2.5', '"points":9.5')
    elif tampering == "removed":
        del lines[1]
    elif tampering == "swapped":
        lines[0], lines[1] = lines[1], lines[0]
    elif tampering == "garbage":
        lines[1] = "{}"
    else:
        changed = Attempt.model_validate_json(lines[1]).model_copy(update={"points": 9.5})
        lines[1] = json.dumps(json.loads(changed.model_copy(update={"hash": entry_hash(changed)}).model_dump_json()))
    book.path.write_text("\n".join(lines) + "\n")
    found = book.verify()
    assert "line " in found.fault
    assert found.entries in (0, 1, 2)
    with pytest.raises(SpecError, match=r"gradebook\.jsonl: line"):
        book.entries()
    with pytest.raises(SpecError):
        _hint(book)


def test_a_write_cut_at_any_byte_loses_no_finished_entry(book: Gradebook) -> None:
    _hint(book)
    whole = book.path.read_bytes()
    _attempt(book)
    both = book.path.read_bytes()
    for cut in range(len(whole) + 1, len(both), 37):
        book.path.write_bytes(both[:cut])
        check = book.verify()
        assert (check.entries, check.fault) == (1, "")
        assert check.torn
        assert len(book.entries()) == 1


def test_an_unfinished_line_is_set_aside_before_the_next_entry(book: Gradebook) -> None:
    first = _hint(book)
    with book.path.open("ab") as file:
        file.write(b'{"format":"archlab/att')
    second = _attempt(book)
    assert book.entries() == (first, second)
    (aside,) = book.path.parent.glob("*.torn-*")
    assert aside.read_bytes() == b'{"format":"archlab/att'


WRITER = """
import sys
from pathlib import Path
from archlab.grading.gradebook import Gradebook
from archlab.spec.gradebook import HintUse
path = Path(sys.argv[1])
for number in range(1, int(sys.argv[2]) + 1):
    book = Gradebook(path, path.with_name("gradebook.pem"))
    book.append(HintUse, question="pick", hint=number, cost_percent=10)
    print(number, flush=True)
"""


def _writer(path: Path, entries: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(entries)], stdout=subprocess.PIPE)


def test_a_killed_writer_leaves_a_whole_chain(tmp_path: Path) -> None:
    path = tmp_path / "gradebook.jsonl"
    with _writer(path, 100_000) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(5)][-1]
        writer.kill()
    book = Gradebook(path, path.with_name("gradebook.pem"))
    before = book.verify()
    assert before.fault == ""
    assert before.entries >= acknowledged
    _hint(book)
    assert book.verify().entries == before.entries + 1


def test_two_writers_do_not_break_the_chain(tmp_path: Path) -> None:
    path = tmp_path / "gradebook.jsonl"
    writers = [_writer(path, 10) for _ in range(2)]
    for writer in writers:
        writer.communicate()
    check = Gradebook(path, path.with_name("gradebook.pem")).verify()
    assert (check.entries, check.fault) == (20, "")
