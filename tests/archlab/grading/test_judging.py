"""A declared wrong answer is recognised and told its misconception; one that fails costs the learner nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archlab.errors import SpecError
from archlab.grading.content import Pack, load
from archlab.grading.judging import judge
from archlab.grading.practice import Practice
from archlab.spec.grading import Verdict
from synthetic import World

THREE = "{key: a, text: A}, {key: b, text: B}, {key: c, text: C}"
KINDS = {
    "choice": ("options: [{key: left, text: L}, {key: right, text: R}]", "'left'", "'right'"),
    "multi": (f"options: [{THREE}]", "['a', 'b']", "['b', 'c']"),
    "order": (f"options: [{THREE}]", "['a', 'b', 'c']", "[['c', 'b'], 'a']"),
    "numeric": ("tolerance_percent: 5", "100", "50"),
    "predict": ("tolerance_percent: 5", "100", "50"),
    "state": ("options: []", "False", "True"),
}


def _pack(folder: Path, kind: str, mistakes: str) -> Pack:
    fields, right, wrong = KINDS[kind]
    folder.mkdir(exist_ok=True)
    (folder / "questions.yaml").write_text(
        "format: archlab/questions/v1\nquestions:\n"
        f"  - {{id: q, title: Q, kind: {kind}, text: What, truth: t, points: 10, minutes: 1, difficulty: easy,\n"
        f"     competencies: [], domains: [], explanation: So., {fields},\n"
        f"     mistakes: [{mistakes}]}}\n"
    )
    (folder / "truths.py").write_text(
        "from archlab.spec.grading import Truth\n"
        "def t(evidence, variant):\n"
        f"    return Truth(answer={right}, saw='seen.', looked_for='it.')\n"
    )
    (folder / "mistakes.py").write_text(
        f"def slip(evidence, variant):\n    return {wrong}\n"
        "def nothing(evidence, variant):\n    return None\n"
        "def fails(evidence, variant):\n    raise KeyError('no row')\n"
    )
    return load(folder)


SLIP = "{name: slip, misconception: Average is no peak.}"


def _judged(pack: Pack, answer: Any) -> Any:
    return judge(pack, pack.question("q"), World().evidence(), answer)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("choice", "right"),
        ("multi", ["c", "b"]),
        ("order", ["c", "b", "a"]),
        ("order", ["b", "c", "a"]),
        ("numeric", 51.0),
        ("predict", 49.0),
        ("state", None),
    ],
)
def test_the_answer_that_a_mistake_leads_to_is_named(tmp_path: Path, kind: str, answer: Any) -> None:
    judged = _judged(_pack(tmp_path, kind, SLIP), answer)
    assert judged.verdict in (Verdict.INCORRECT, Verdict.PARTIAL)
    assert judged.mistake == "slip"
    assert judged.message.endswith("Average is no peak.")


@pytest.mark.parametrize(
    ("kind", "answer"), [("multi", ["a", "c"]), ("order", ["c", "a", "b"]), ("numeric", 60.0), ("predict", 40.0)]
)
def test_another_wrong_answer_is_not(tmp_path: Path, kind: str, answer: Any) -> None:
    judged = _judged(_pack(tmp_path, kind, SLIP), answer)
    assert judged.verdict is not Verdict.CORRECT
    assert judged.mistake == ""
    assert "Average" not in judged.message


def test_a_right_answer_stays_right_where_the_mistake_leads_to_it_too(tmp_path: Path) -> None:
    pack = _pack(tmp_path, "numeric", SLIP)
    (tmp_path / "mistakes.py").write_text("def slip(evidence, variant):\n    return 101\n")
    pack = load(tmp_path)
    judged = _judged(pack, 101.0)
    assert (judged.verdict, judged.mistake) == (Verdict.CORRECT, "")


def test_the_first_that_fits_is_named_and_one_without_an_answer_is_skipped(tmp_path: Path) -> None:
    pack = _pack(tmp_path, "numeric", f"{{name: nothing, misconception: Nothing.}}, {SLIP}")
    assert _judged(pack, 50.0).mistake == "slip"


def test_a_mistake_that_fails_leaves_the_verdict_and_a_trace(tmp_path: Path) -> None:
    pack = _pack(tmp_path, "numeric", f"{{name: fails, misconception: Never.}}, {SLIP}")
    practice = Practice(pack, tmp_path / "lab", World().evidence)
    outcome = practice.answer("q", "50")
    assert outcome.verdict is Verdict.INCORRECT
    assert outcome.message.endswith("Average is no peak.")
    assert practice.standing("q").spent == 1
    log = (tmp_path / "lab" / "log" / "grading.log").read_text()
    assert "mistake fails" in log
    assert "KeyError: 'no row'" in log


def test_a_mistake_without_its_function_names_file_line_and_field(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"questions.yaml:5: q: mistakes.name: .*mistakes.py has no function 'absent'"):
        _pack(tmp_path, "numeric", "{name: absent, misconception: No.}")


def test_two_mistakes_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="two mistakes share a name"):
        _pack(tmp_path, "numeric", f"{SLIP}, {SLIP}")


def test_siblings_are_imported_relatively_and_anew(tmp_path: Path) -> None:
    pack = _pack(tmp_path, "numeric", SLIP)
    for value in (50, 70):
        (tmp_path / "prices.py").write_text(f"PRICE = {value}\n")
        (tmp_path / "mistakes.py").write_text("from .prices import PRICE\ndef slip(e, v):\n    return PRICE\n")
        pack = load(tmp_path)
        assert pack.mistakes["slip"](World().evidence(), World().evidence().variant) == value
