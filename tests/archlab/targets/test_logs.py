from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab.targets.logs import is_replica, known, read, rotate, tail


def test_a_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "unit-0.log"
    assert tail(path, 5) == ()
    path.write_text("".join(f"{n}\n" for n in range(50_000)))
    assert tail(path, 3) == ("49997", "49998", "49999")
    assert len(tail(path, 30_000)) == 30_000
    assert tail(path, 0) == ()
    path.write_bytes(b"\xff\xfe\nend without newline")
    assert tail(path, 1) == ("end without newline",)


@given(lines=st.lists(st.text(alphabet="abc é", max_size=5), max_size=20), count=st.integers(0, 25))
def test_a_tail_agrees_with_reading_everything(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "x.log"
    path.write_text("".join(line + "\n" for line in lines))
    assert tail(path, count) == tuple(lines[len(lines) - min(count, len(lines)) :])


def test_following_goes_on_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "unit-0.log"
    path.write_text("one\ntwo\n")
    lines = read([path], 1, endless=True)
    assert next(lines) == "two"
    with path.open("a") as file:
        file.write("three\nhal")
    assert next(lines) == "three"
    with path.open("a") as file:
        file.write("f\n")
    assert next(lines) == "half"
    assert rotate(path, 5)
    assert not rotate(path, 5)
    path.write_text("new\n")
    assert next(lines) == "new"
    assert (tmp_path / "unit-0.log.1").read_text().endswith("half\n")


def test_several_are_marked_by_name(tmp_path: Path) -> None:
    for index in range(2):
        (tmp_path / f"unit-{index}.log").write_text(f"from {index}\n")
    found = known(tmp_path)
    assert list(read(list(found.values()), 5, endless=False)) == ["unit-0: from 0", "unit-1: from 1"]
    assert is_replica("unit-0", "unit")
    assert not is_replica("unit-a-0", "unit")
    assert not is_replica("unit", "unit")
