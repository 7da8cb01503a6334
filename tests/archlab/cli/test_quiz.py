"""The quiz: in a real terminal (tmux), and line by line where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archlab.grading.content import load
from archlab.grading.exams import Exams, Terms
from archlab.grading.practice import Practice, open_book
from archlab.spec.gradebook import Attempt, ExamAnswered
from archlab.spec.grading import Verdict
from synthetic import World, ten_models

COUNT = len(load(ten_models()).questions)
SUPPORT = Path(__file__).parents[2] / "support"

PROGRAM = """
import sys
import tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from archlab.cli import quiz
from archlab.cli.quiz_sessions import ExamSession, PracticeSession
from archlab.grading import sittings
from archlab.grading.content import load
from archlab.grading.exams import Exams
from archlab.grading.place import Place
from archlab.grading.practice import Practice
from synthetic import World, ten_models

lab, way = Path(sys.argv[2]), sys.argv[3]
exams = Exams(load(ten_models()), lab, World().evidence)
sitting = sittings.current(exams.book.entries(), exams.book.now())
session = ExamSession(exams) if sitting else PracticeSession(Practice(exams.pack, lab, World().evidence))
place = Place(lab / "quiz.json", session.name)
at = place.index([q.id for q in session.questions])
if way == "draw":
    quiz._draw(session, place, at)
else:
    from archlab.cli.quiz_plain import ask_plainly
    ask_plainly(session, place, at)
quiz._farewell(session)
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    made = tmp_path / "lab"
    made.mkdir()
    return made


class Terminal:
    """A real terminal of 80 columns and 24 lines."""

    def __init__(self, lab: Path, environment: dict[str, str]) -> None:
        self._socket = tempfile.TemporaryDirectory(prefix="tmux-")
        self._tmux = ["tmux", "-S", f"{self._socket.name}/s"]
        program = lab.parent / "program.py"
        program.write_text(PROGRAM)
        set_first = [f"{key}={value}" for key, value in environment.items()]
        command = ["env", *set_first, sys.executable, str(program), str(SUPPORT), str(lab), "draw"]
        subprocess.run(
            [*self._tmux, "-f", os.devnull, "new-session", "-d", "-x", "80", "-y", "24", *command], check=True
        )
        subprocess.run([*self._tmux, "set-option", "-g", "remain-on-exit", "on"], check=True)

    def press(self, *keys: str) -> None:
        """Send keys as tmux names them."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def lines(self, *, escapes: bool = False) -> list[str]:
        """What is on the screen."""
        command = [*self._tmux, "capture-pane", "-p", *(["-e"] if escapes else [])]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")

    def wait(self, text: str) -> list[str]:
        """Until a text is to be seen; the screen then."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            lines = self.lines()
            if text in "\n".join(lines):
                return lines
            time.sleep(0.05)
        raise AssertionError(f"{text!r} is not to be seen:\n" + "\n".join(self.lines()))

    def close(self) -> None:
        """End it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        self._socket.cleanup()


Open = Callable[..., Terminal]


@pytest.fixture
def terminal(lab: Path) -> Iterator[Open]:
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    opened: list[Terminal] = []

    def open_one(**environment: str) -> Terminal:
        opened.append(Terminal(lab, environment))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def _attempts(lab: Path) -> list[Attempt]:
    return [e for e in open_book(lab).entries() if isinstance(e, Attempt)]


def test_a_choice_by_keys_a_hint_and_the_verdict(terminal: Open, lab: Path) -> None:
    seen = terminal()
    lines = seen.wait("Which of these designs")
    assert lines[0].startswith(f"Cheap, fresh, resilient  practice  1/{COUNT}")
    assert "of 8 min" in lines[0]
    assert max(len(line) for line in lines) <= 80
    assert "> a ( ) Online, one replica" in lines
    seen.press("?")
    seen.wait("costs 15 % of the points. Press ? again")
    assert open_book(lab).entries() == ()
    seen.press("?")
    seen.wait("Hint 1. A schedule that survives")
    seen.press("e")
    seen.wait("> e (x) Batch once a night")
    seen.press("Enter")
    seen.wait("Incorrect, 0 of 10 points")
    seen.wait("By far the cheapest, and stale")
    seen.press("Enter")
    assert "[✗]" in seen.wait("can earn 5.95 of 10")[1]
    assert [(a.question, a.answer) for a in _attempts(lab)] == [("cheapest-resilient", "nightly")]


def test_it_goes_on_where_one_stopped_with_what_was_begun(terminal: Open) -> None:
    first = terminal()
    first.wait(f"1/{COUNT}")
    first.press("Tab")
    first.wait(f"How far can it grow?  practice  2/{COUNT}")
    first.press("1", "2", ".", "5")
    first.wait("Your answer: 12.5_ times")
    first.press("q")
    first.wait("Your place is kept")
    second = terminal()
    second.wait(f"2/{COUNT}")
    assert "Your answer: 12.5_ times" in "\n".join(second.wait("Your answer:"))


def test_several_marked_below_the_fold(terminal: Open, lab: Path) -> None:
    seen = terminal()
    seen.wait(f"1/{COUNT}")
    seen.press(*["Tab"] * 3)
    seen.wait(f"Beyond rescue?  practice  4/{COUNT}")
    assert any("more below: PgDn" in line for line in seen.lines())
    seen.press("h", "a")
    seen.wait("[x] departure-delay")
    seen.press("h")
    seen.wait("> h [ ] None of them")
    seen.press("Enter")
    seen.wait("of your 1 belong there")
    assert _attempts(lab)[0].answer == ["departure-delay"]


def test_an_order_is_made_by_moving(terminal: Open, lab: Path) -> None:
    seen = terminal()
    seen.wait(f"1/{COUNT}")
    seen.press(*["Tab"] * 5)
    seen.wait(f"What an answer costs  practice  6/{COUNT}")
    seen.press("Space")
    seen.wait("> a 1. ≡ flight-time")
    seen.press("Down")
    seen.wait("> b 2. ≡ flight-time")
    seen.press("Space", "Enter")
    seen.wait("The order is right.")
    assert _attempts(lab)[0].answer[:2] == ["delay-recovery", "flight-time"]


def test_a_state_is_looked_at_again_on_a_key(terminal: Open, lab: Path) -> None:
    seen = terminal()
    seen.wait(f"1/{COUNT}")
    seen.press(*["Tab"] * 7)
    seen.wait("Back to a good champion")
    seen.wait("change the lab in another terminal · Enter or r looks again")
    seen.press("r")
    seen.wait("Blocked, 0 of 10 points")
    assert [attempt.verdict for attempt in _attempts(lab)] == [Verdict.BLOCKED]


def test_without_colour_it_says_the_same(terminal: Open) -> None:
    seen = terminal(NO_COLOR="1")
    seen.wait("Which of these designs")
    assert "\x1b[3" not in "".join(seen.lines(escapes=True))
    seen.press("a")
    seen.wait("> a (x) Online, one replica")


def test_the_shells_screen_comes_back_after_an_interrupt(terminal: Open) -> None:
    seen = terminal()
    seen.wait(f"1/{COUNT}")
    seen.press("C-c")
    seen.wait("KeyboardInterrupt")
    assert f"1/{COUNT}" not in "\n".join(seen.lines())


def test_an_exam_shows_its_clock_and_no_verdict(terminal: Open, lab: Path) -> None:
    exams = Exams(load(ten_models()), lab, World().evidence)
    exams.start(Terms(30, ("cheapest-resilient", "dearest-answer"), 1))
    seen = terminal()
    lines = seen.wait("exam-1  1/2")
    assert "0:29:5" in lines[0]
    assert "? hint" not in "\n".join(lines)
    seen.press("e", "Enter")
    seen.wait("You may change it until the end.")
    assert "stale" not in "\n".join(seen.lines())
    seen.press("Enter")
    seen.wait("exam-1  2/2")
    seen.press("BTab")
    seen.wait("e (x) Batch once a night")
    answers = [e for e in open_book(lab).entries() if isinstance(e, ExamAnswered)]
    assert [(a.question, a.answer) for a in answers] == [("cheapest-resilient", "nightly")]


def _plain(lab: Path, said: str) -> str:
    command = [sys.executable, "-c", PROGRAM, str(SUPPORT), str(lab), "plain"]
    return subprocess.run(command, input=said, capture_output=True, text=True, check=True).stdout


def test_line_by_line_where_there_is_no_terminal(lab: Path) -> None:
    out = _plain(lab, "sideways\nnightly\n?\nevery-30-minutes\ns\nq\n")
    for text in (
        "not an option",
        "By far the cheapest",
        "A schedule that survives",
        "right for your lab",
        f"3/{COUNT}",
    ):
        assert text in out
    assert [a.answer for a in _attempts(lab)] == ["nightly", "every-30-minutes"]
    assert f"3/{COUNT}" in _plain(lab, "q\n")


def test_an_end_of_input_leaves(lab: Path) -> None:
    assert "Your place is kept" in " ".join(_plain(lab, "").split())
    assert Practice(load(ten_models()), lab, World().evidence).book.entries() == ()
