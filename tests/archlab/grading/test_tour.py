"""The tour's content and the learner's place in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import NotFoundError, SpecError
from archlab.grading import tour

TOUR = """\
format: archlab/tour/v1
title: Two steps
steps:
  - id: one
    title: One
    minutes: 1
    text: "Look: {figure}"
    actions: [{run: "true"}]
    check: happened
  - id: two
    title: Two
    minutes: 2
    text: Done.
"""

CHECKS = """\
def values(evidence):
    return {"figure": "7"}

def happened(evidence, lab):
    return "" if (lab / "flag").exists() else "There is no flag."
"""


@pytest.fixture
def content(tmp_path: Path) -> Path:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "tour.yaml").write_text(TOUR)
    (folder / "tour_checks.py").write_text(CHECKS)
    return folder


def test_it_goes_on_where_it_was_left(content: Path, tmp_path: Path) -> None:
    loaded, path = tour.load(content), tmp_path / "tour.json"
    assert [s.id for s in loaded.rest(tour.read_progress(path))] == ["one", "two"]
    tour.write_progress(path, tour.Progress(), loaded.steps[0])
    assert [s.id for s in loaded.rest(tour.read_progress(path))] == ["two"]
    assert [s.id for s in loaded.rest(tour.read_progress(path), "one")] == ["one", "two"]
    assert loaded.minutes == 3


def test_a_damaged_place_begins_again(tmp_path: Path) -> None:
    path = tmp_path / "tour.json"
    path.write_text('{"format": "archlab/to')
    assert tour.read_progress(path) == tour.Progress()


def test_an_unknown_step_names_those_there_are(content: Path) -> None:
    with pytest.raises(NotFoundError, match="one, two"):
        tour.load(content).rest(tour.Progress(), "three")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("check: happened", "check: lost", r"tour\.yaml:9: one: check: .*no function 'lost'"),
        ('{run: "true"}', '{run: "true", wait: now}', "exactly one of"),
        ("id: two", "id: one", "two steps share an id"),
    ],
)
def test_faults_of_a_tour_are_named(content: Path, old: str, new: str, said: str) -> None:
    (content / "tour.yaml").write_text(TOUR.replace(old, new))
    with pytest.raises(SpecError, match=said):
        tour.load(content)


def test_only_known_figures_are_filled_in() -> None:
    assert tour.fill('{a} {b} {"x":[{"y":1}]}', {"a": "1"}) == '1 {b} {"x":[{"y":1}]}'
