"""Content is read strictly; each fault is named by file, line and question."""

from __future__ import annotations

from pathlib import Path

import pytest

from archlab.errors import NotFoundError, SpecError
from archlab.grading.content import Pack, load


def _broken(folder: Path, old: str, new: str) -> str:
    path = folder / "questions.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        load(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("points: 10", "points: 0", ("questions.yaml:8", "pick", "points")),
        ("points: 10", "points: 10\n    colour: red", ("pick", "colour")),
        ("kind: choice", "kind: essay", ("questions.yaml:5", "pick", "kind")),
        ("kind: choice", "kind: numeric", ("pick", "options")),
        ("    tolerance_percent: 10\n", "", ("guess", "tolerance_percent")),
        ("near_percent: 50", "near_percent: 5", ("guess", "near_percent")),
        ("cost_percent: 30", "cost_percent: 90", ("pick", "hints")),
        ("key: left", "key: right", ("pick", "two options share a key")),
        ("id: guess", "id: pick", ("two questions share the id pick",)),
        ("truth: pick", "truth: lost", ("questions.yaml:7", "pick: truth", "truths.py has no function 'lost'")),
        ("title: Pick one", "title: [", ("questions.yaml", "not valid YAML")),
    ],
)
def test_a_fault_is_named_with_file_line_and_question(folder: Path, old: str, new: str, said: tuple[str, ...]) -> None:
    message = _broken(folder, old, new)
    for part in said:
        assert part in message


def test_truths_that_do_not_import_are_a_fault_of_the_content(folder: Path) -> None:
    (folder / "truths.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(SpecError, match=r"truths\.py fails to import.*nothing_of_that_name"):
        load(folder)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "truths.py").unlink()
    with pytest.raises(SpecError, match=r"truths\.py is missing"):
        load(folder)


def test_an_unknown_question_names_the_closest(pack: Pack) -> None:
    with pytest.raises(NotFoundError, match="Did you mean guess"):
        pack.question("gues")


def test_the_version_changes_with_questions_and_truths(folder: Path, pack: Pack) -> None:
    assert load(folder).version == pack.version
    (folder / "truths.py").write_text((folder / "truths.py").read_text() + "\nMORE = 1\n")
    assert load(folder).version != pack.version
