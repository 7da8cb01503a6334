"""The quiz in a full-screen terminal: what a key does, and what is to be seen then."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from string import ascii_lowercase

from rich.table import Table
from rich.text import Text

from archlab.cli.drafts import Draft
from archlab.cli.grading import COLOURS
from archlab.cli.quiz_sessions import Result, Session
from archlab.cli.screen import Page, Screen
from archlab.errors import ArchlabError
from archlab.grading.place import Place
from archlab.spec.grading import Question, QuestionKind

_SIGNS = {
    "correct": ("✓", "+", "green"),
    "partial": ("~", "~", "yellow"),
    "incorrect": ("✗", "x", "red"),
    "forecast": ("…", ":", "cyan"),
    "answered": ("●", "o", "cyan"),
    "": ("·", ".", "dim"),
}
_HOW = {
    QuestionKind.CHOICE: "↑↓ or letter chooses · Enter answers",
    QuestionKind.MULTI: "↑↓ moves · Space or letter marks · Enter answers",
    QuestionKind.ORDER: "↑↓ moves · Space picks up and puts down · Enter answers",
    QuestionKind.NUMERIC: "type a number · Enter answers",
    QuestionKind.REGO: "write the rule in another terminal · Enter hands it in",
    QuestionKind.PREDICT: "type your forecast · Enter commits it · r looks whether it came true",
    QuestionKind.STATE: "change the lab in another terminal · Enter or r looks again",
    QuestionKind.DESIGN: "answered outside the quiz, with a file",
}


class Quiz:
    """One walk through the questions.

    Args:
        session: practice or an exam.
        place: where to go on another time.
        screen: to draw on.
        at: the question to begin with.
    """

    def __init__(self, session: Session, place: Place, screen: Screen, at: int) -> None:
        self.left = False
        self._session, self._place, self._screen = session, place, screen
        self._questions = list(session.questions)
        self._notice = ""
        self._show(at)

    def press(self, key: str) -> None:
        """React to a key."""
        self._notice = "" if key != "?" else self._notice
        if key in ("q", "esc", "eof"):
            self.left = True
        elif key in ("pgup", "pgdn"):
            self._screen.scroll(1 if key == "pgdn" else -1)
        elif key in ("tab", "right"):
            self._show(self._at + 1)
        elif key in ("backtab", "left"):
            self._show(self._at - 1)
        elif self._result is not None:
            self._after_result(key)
        elif not self._edited(key):
            self._command(key)

    def draw(self) -> None:
        """Show the page as it is now."""
        body, focus = self._body()
        self._screen.draw(Page(self._head(), body, self._foot(), focus))

    @property
    def _question(self) -> Question:
        return self._questions[self._at]

    def _show(self, at: int) -> None:
        """Turn to a question; past the last comes the first."""
        self._at = at % len(self._questions)
        raw = self._place.draft(self._question.id) or self._session.earlier(self._question)
        self._draft = Draft.of(self._question, raw)
        self._result: Result | None = None
        self._armed = False
        self._since = time.monotonic()
        self._screen.top = 0
        self._moved = False
        self._place.keep(self._question.id, self._place.draft(self._question.id))

    def _edited(self, key: str) -> bool:
        changed = self._draft.press(key)
        if changed is None:
            return False
        if changed.raw != self._draft.raw:
            self._place.keep(self._question.id, changed.raw)
        self._draft, self._moved, self._armed = changed, True, False
        return True

    def _command(self, key: str) -> None:
        if key == "enter":
            self._submit()
        elif key == "r" and self._question.kind in (QuestionKind.STATE, QuestionKind.PREDICT):
            self._look(check=True)
        elif key == "?":
            self._hint()
        elif key in ("up", "down"):
            self._screen.top = max(0, self._screen.top + (1 if key == "down" else -1))

    def _after_result(self, key: str) -> None:
        assert self._result is not None
        if key == "enter":
            if self._result.settled:
                self._show(self._at + 1)
            else:
                self._result, self._screen.top = None, 0
        elif key == "r" and self._question.kind in (QuestionKind.STATE, QuestionKind.PREDICT):
            self._look(check=True)
        elif key in ("up", "down"):
            self._screen.top = max(0, self._screen.top + (1 if key == "down" else -1))

    def _submit(self) -> None:
        if self._question.kind is QuestionKind.DESIGN:
            exam = "" if self._session.name == "practice" else "exam "
            self._notice = f"A design is measured for minutes: archlab {exam}answer {self._question.id} FILE"
            return
        if not self._draft.raw and self._question.kind not in (QuestionKind.STATE, QuestionKind.REGO):
            self._notice = "Nothing is chosen yet." if self._question.options else "Type a number first."
            return
        self._look(check=False)

    def _look(self, *, check: bool) -> None:
        """Answer or check; the lab is looked at, which may take a second."""
        if over := self._session.over():
            self._notice = over
            return
        self._notice = "Looking at your lab …"
        self.draw()
        self._notice = ""
        try:
            asked = self._question
            self._result = self._session.check(asked) if check else self._session.submit(asked, self._draft.raw)
        except ArchlabError as error:
            self._notice = str(error)
            return
        self._screen.top = 0
        if self._result.verdict != "invalid":
            self._place.keep(self._question.id, "")
            self._draft = replace(self._draft, held=False)

    def _hint(self) -> None:
        price = self._session.next_hint(self._question)
        if not price:
            self._notice = "There is no further hint."
        elif not self._armed:
            self._armed = True
            self._notice = f"The next hint costs {price}. Press ? again to read it."
        else:
            before = len(self._session.hints(self._question))
            self._session.take_hint(self._question)
            found = len(self._session.hints(self._question)) > before
            self._armed = False
            self._notice = "" if found else "No hint fits your lab as it stands; nothing was charged."
            self._moved = False
            self._screen.top = 10_000

    def _head(self) -> list[str]:
        width = self._screen.columns
        place = f"{self._session.name}  {self._at + 1}/{len(self._questions)}"
        timer = self._session.timer(self._question, time.monotonic() - self._since)
        title = Text.assemble((self._question.title, "bold"), "  ", place)
        title.truncate(width - len(timer) - 2, overflow="ellipsis", pad=True)
        asked = f"{self._question.kind.value} · {self._question.points} points · {self._question.difficulty}"
        signs = self._signs()
        signs.append(" " * max(2, width - signs.cell_len - len(asked)))
        return self._screen.render(Text.assemble(title, "  ", (timer, "bold")), Text.assemble(signs, (asked, "dim")))

    def _signs(self) -> Text:
        fancy = (sys.stdout.encoding or "").lower().startswith("utf")
        shown = Text()
        for number, mark in enumerate(self._session.marks()):
            sign, plain, colour = _SIGNS.get(mark, _SIGNS[""])
            here = number == self._at
            shown.append(f"[{sign if fancy else plain}]" if here else f" {sign if fancy else plain} ", colour)
        return shown

    def _body(self) -> tuple[list[str], tuple[int, int] | None]:
        if self._result is not None:
            return self._result_lines(self._result), None
        lines = self._screen.markdown(self._question.text)
        for number, hint in enumerate(self._session.hints(self._question), 1):
            lines += ["", *self._screen.markdown(f"**Hint {number}.** {hint.text}")]
        lines.append("")
        if not self._question.options:
            return [*lines, *self._entry()], None
        focus = (len(lines), len(lines))
        for number, key in enumerate(self._draft.keys):
            shown = self._option(number, key)
            if number == self._draft.cursor:
                focus = (len(lines), len(lines) + len(shown) - 1)
            lines += shown
        return lines, focus if self._moved else None

    def _result_lines(self, result: Result) -> list[str]:
        colour = COLOURS.get(result.verdict, "cyan" if result.verdict in ("forecast", "recorded") else "red")
        return [
            *self._screen.render(Text(result.title, f"bold {colour}")), "", *self._screen.markdown(result.body)
        ]  # fmt: skip

    def _entry(self) -> list[str]:
        if self._question.kind is QuestionKind.STATE:
            return self._screen.render(Text("The lab's state is the answer.", "italic"))
        if self._question.kind is QuestionKind.DESIGN:
            return self._screen.render(Text("A file of changes is the answer.", "italic"))
        if self._question.kind is QuestionKind.REGO:
            file = self._session.rule_file(self._question)
            return self._screen.render(Text(f"The rule in {file} is the answer.", "italic"))
        unit = f" {self._question.unit}" if self._question.unit else ""
        return self._screen.render(Text.assemble("Your answer: ", (f"{self._draft.text}_", "bold"), unit))

    def _option(self, number: int, key: str) -> list[str]:
        option = next(o for o in self._question.options if o.key == key)
        here = number == self._draft.cursor
        match self._question.kind:
            case QuestionKind.ORDER:
                sign = f"{number + 1}. {'≡ ' if here and self._draft.held else ''}"
            case QuestionKind.MULTI | QuestionKind.PREDICT:
                sign = "[x] " if key in self._draft.marked else "[ ] "
            case _:
                sign = "(x) " if key in self._draft.marked else "( ) "
        lead = f"{'>' if here else ' '} {ascii_lowercase[number]} {sign}"
        style = "bold" if here else ""
        grid = Table.grid()
        grid.add_column(width=len(lead), no_wrap=True)
        grid.add_column()
        grid.add_row(Text(lead, style), Text(option.text, style))
        return self._screen.render(grid)

    def _foot(self) -> list[str]:
        if self._notice:
            line = Text(self._notice, "yellow")
        elif self._result is not None:
            line = Text("Enter goes on." if self._result.settled else "Enter: back to the question.")
        else:
            line = Text(self._session.rules(self._question), "dim")
        line.truncate(2 * self._screen.columns, overflow="ellipsis")
        lines = self._screen.render(line)[:2]
        how = self._how() if self._result is None else "↑↓ scrolls"
        hint = " · ? hint" if self._result is None and self._session.next_hint(self._question) else ""
        keys = Text(f"{how}{hint}\nTab next · Shift-Tab back · PgUp PgDn scroll · q leaves", "dim")
        return [*lines, *[""] * (2 - len(lines)), *self._screen.render(keys)]

    def _how(self) -> str:
        if self._question.kind is QuestionKind.PREDICT and self._question.options:
            return "↑↓ moves · Space or letter marks what will happen · Enter commits it · r looks whether it came true"
        return _HOW[self._question.kind]
