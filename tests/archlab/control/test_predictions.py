"""Prediction logs as rows: idempotent, joined, bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from archlab.control.predictions import parsed
from prediction_lines import KEYS, MODEL, Kept, line


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_a_request_is_a_row_that_says_what_it_was_about(kept: Kept) -> None:
    kept.append(line(1, "20131202-UA1-EWR"))
    kept.take_in()
    columns = "model, version, row, shadow, subject, asked_us, us, status, prediction"
    (row,) = kept.ask(f"SELECT {columns} FROM predictions JOIN series ON series.id = series")
    assert row == (MODEL, "1", 0, 0, "20131202-UA1-EWR", 1385974800_000_000, 100, 200, 0.25)
    assert kept.ask("SELECT subject, asked_us FROM subjects") == [("20131202-UA1-EWR", 1385974800_000_000)]


@pytest.mark.parametrize(
    ("record", "subjects"),
    [
        ({"request_id": "mine", "keys": {"flight_id": ["UA1", "UA2"]}, "prediction": [0.1, 0.2]}, ["UA1", "UA2"]),
        ({"request_id": "mine", "keys": {"origin": ["JFK"]}}, [None]),
        ({"request_id": "mine", "keys": {}}, [None]),
        ({"request_id": f"{MODEL}/UA1/soon", "keys": {}}, [None]),
        ({"request_id": "mine", "model": "airport-congestion", "keys": {"origin": ["JFK"], "slot": ["9"]}}, ["JFK@9"]),
        ({"prediction": [], "status": 400, "keys": {}, "request_id": "x"}, [None]),
    ],
)
def test_subjects_come_from_the_id_or_from_the_keys(record: dict[str, Any], subjects: Sequence[str | None]) -> None:
    rows, damaged = parsed([line(1, **record).encode()], lambda model: KEYS.get(model, ()))
    assert [row.subject for row in rows] == subjects
    assert {row.asked_us for row in rows} == {None}
    assert damaged == 0


def test_reading_a_log_again_changes_nothing(kept: Kept) -> None:
    lines = [line(n, shadow=n % 2 == 0, correlation_id=f"c{n // 2}") for n in range(20)]
    kept.append(*lines)
    kept.take_in()
    before = kept.ask("SELECT * FROM predictions"), kept.series
    (kept.logs / "online-0.jsonl").unlink()
    kept.append(*lines, line(99, "other"))
    kept.take_in()
    assert len(kept.ask("SELECT * FROM predictions")) == len(before[0]) + 1
    assert kept.series["2", 1] == before[1]["2", 1]


def test_another_process_goes_on_where_the_last_one_stopped(kept: Kept, tmp_path: Path) -> None:
    kept.append(line(1))
    kept.take_in()
    kept.predictions.close()
    again = Kept(tmp_path)
    again.append(line(2))
    again.take_in()
    assert again.series == {("1", 0): (2, 0, 0, 0.0)}


def test_of_a_question_that_was_asked_again_the_last_answer_counts(kept: Kept) -> None:
    same = "same"
    kept.append(
        line(2, prediction=[0.8], version="2", correlation_id=same), line(1, prediction=[0.2], correlation_id=same)
    )
    kept.take_in()
    assert kept.ask("SELECT version, prediction FROM predictions JOIN series ON series.id = series") == [("2", 0.8)]


@pytest.mark.parametrize("first", ["copy", "original"])
def test_copies_are_joined_with_their_originals_in_whichever_order_they_come(kept: Kept, first: str) -> None:
    original = [line(n, prediction=[0.1 * n]) for n in range(1, 4)]
    copies = [line(n, shadow=True, prediction=[0.1 * n + 0.01]) for n in range(1, 4)]
    for log, lines in (("online-0", original), ("online-1", copies))[:: 1 if first == "original" else -1]:
        kept.append(*lines, log=f"{log}.jsonl")
        kept.take_in()
    assert kept.series["2", 1] == (3, 0, 3, pytest.approx(0.03))
    kept.append(line(50))
    kept.take_in()
    assert kept.series["2", 1][2] == 3


def test_a_pair_needs_two_answers_of_two_versions(kept: Kept) -> None:
    kept.append(line(1, version="2"), line(1, shadow=True))
    kept.append(line(2), line(2, shadow=True, status=503, prediction=[]))
    kept.append(line(3, status=500, prediction=[]), line(3, shadow=True))
    kept.append(line(4, shadow=True))
    kept.take_in()
    assert kept.series["2", 1] == (4, 1, 0, 0.0)
    assert kept.ask("SELECT subject FROM predictions WHERE unjoined") == [("F4",)]
    kept.append(line(60 * 20))
    kept.take_in()
    assert kept.ask("SELECT subject FROM predictions WHERE unjoined") == []


def test_damaged_lines_are_counted_and_passed_over(kept: Kept) -> None:
    kept.append("{}\n", "nothing\n", "[1]\n", '{"t":"20' + line(1), line(2, t="soon"), line(3))
    kept.take_in()
    assert kept.series == {("1", 0): (2, 0, 0, 0.0)}
    assert kept.ask("SELECT damaged FROM logs") == [(4,)]


def test_only_the_newest_of_each_model_are_kept(tmp_path: Path) -> None:
    kept = Kept(tmp_path, kept=10)
    kept.append(*(line(n) for n in range(50)), line(0, model="flight-time"))
    kept.take_in()
    kept.append(line(50))
    kept.take_in()
    counts = dict(kept.ask("SELECT model, count(*) FROM predictions JOIN series ON series.id = series GROUP BY model"))
    assert counts == {MODEL: 11, "flight-time": 1}
    assert kept.ask(f"SELECT requests FROM series WHERE model = '{MODEL}'") == [(51,)]


def test_a_database_that_is_damaged_is_made_again_from_the_logs(kept: Kept, tmp_path: Path) -> None:
    kept.append(line(1))
    kept.take_in()
    kept.predictions.close()
    kept.path.write_bytes(b"nonsense" * 1000)
    again = Kept(tmp_path)
    again.take_in()
    assert again.series == {("1", 0): (1, 0, 0, 0.0)}


def test_a_database_of_another_version_is_made_again(kept: Kept, tmp_path: Path) -> None:
    kept.predictions.close()
    with sqlite3.connect(kept.path) as db:
        db.execute("PRAGMA user_version = 99")
    kept.append(line(1))
    again = Kept(tmp_path)
    again.take_in()
    assert again.series == {("1", 0): (1, 0, 0, 0.0)}


def test_much_is_read_in_bounded_rounds(kept: Kept) -> None:
    kept.append(*(line(n) for n in range(20_000)))
    assert kept.predictions.take_in(within_s=0)
    (first,) = kept.ask("SELECT requests FROM series")
    assert 0 < first[0] < 20_000
    kept.take_in()
    assert kept.series["1", 0][0] == 20_000
