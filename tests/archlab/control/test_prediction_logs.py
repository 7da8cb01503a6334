"""Logs that grow, tear, turn, shrink and come again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.control.prediction_logs import LONGEST_LINE_BYTES, Piece, Position, read


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "online-0.jsonl"


def append(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(lines))


def everything(path: Path, position: Position | None = None, limit: int = 1 << 20) -> tuple[list[str], Position | None]:
    """All lines that there are, and the position after them."""
    lines: list[str] = []
    piece: Piece | None = Piece((), position, more=True) if position else None
    while (piece := read(path, position, limit)) is not None:
        lines += [line.decode() for line in piece.lines]
        position = piece.position
    return lines, position


def test_only_what_is_new_is_read(log: Path) -> None:
    assert read(log, None) is None
    append(log, "a\n", "b\n")
    lines, position = everything(log)
    assert lines == ["a", "b"]
    append(log, "c\n")
    assert everything(log, position)[0] == ["c"]


def test_a_torn_last_line_waits_for_its_end(log: Path) -> None:
    append(log, "a\n", '{"half')
    lines, position = everything(log)
    assert lines == ["a"]
    append(log, ' done"}\n')
    assert everything(log, position)[0] == ['{"half done"}']


def test_a_log_that_was_cut_short_is_read_from_its_start(log: Path) -> None:
    append(log, "a\n", "b\n")
    _, position = everything(log)
    log.write_text("c\n")
    assert everything(log, position)[0] == ["c"]


def test_a_log_that_was_emptied_and_filled_again_is_read_from_its_start(log: Path) -> None:
    append(log, "a\n")
    _, position = everything(log)
    inode = log.stat().st_ino
    with log.open("r+") as file:
        file.truncate()
        file.write("longer than before\nand more\n")
    assert log.stat().st_ino == inode
    assert everything(log, position)[0] == ["longer than before", "and more"]


def test_the_rest_of_a_turned_log_comes_before_the_new_one(log: Path) -> None:
    append(log, "a\n")
    _, position = everything(log)
    append(log, "b\n", "c\n", "torn")
    log.rename(log.with_name("online-0.jsonl.1"))
    append(log, "d\n")
    assert everything(log, position)[0] == ["b", "c", "d"]


def test_a_log_that_is_gone_is_no_error(log: Path) -> None:
    append(log, "a\n")
    _, position = everything(log)
    log.unlink()
    assert read(log, position) is None
    append(log, "b\n")
    assert everything(log, position)[0] == ["b"]


def test_a_line_beyond_measure_does_not_stop_the_rest(log: Path) -> None:
    append(log, "x" * (LONGEST_LINE_BYTES + 10), "\n", "a\n")
    assert everything(log)[0][-1] == "a"


@given(
    lines=st.lists(st.text("abc", max_size=30), max_size=30),
    cuts=st.lists(st.integers(0, 400), max_size=8),
    limit=st.integers(1, 64),
)
def test_every_line_is_read_once_however_it_arrives(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[int], limit: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "p.jsonl"
    content = "".join(f"{n}{line}\n" for n, line in enumerate(lines))
    edges = sorted({0, len(content), *(min(cut, len(content)) for cut in cuts)})
    found: list[str] = []
    position: Position | None = None
    for start, end in pairwise(edges):
        append(path, content[start:end])
        new, position = everything(path, position, limit)
        found += new
    assert found == content.splitlines()
