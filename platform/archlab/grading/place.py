"""Where a learner stopped in the quiz; losing it costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from archlab.files import write_model
from archlab.spec.base import Spec


class _Kept(Spec):
    """`quiz.json` in the lab's folder."""

    format: Literal["archlab/quiz/v1"] = "archlab/quiz/v1"
    at: dict[str, str] = {}
    """The question last shown, in practice and per exam."""
    drafts: dict[str, str] = {}
    """Answers begun and not given, by session and question."""


class Place:
    """The place in one session.

    Args:
        path: `quiz.json`.
        session: `practice`, or an exam's name.
    """

    def __init__(self, path: Path, session: str) -> None:
        self._path = path
        self._session = session

    def index(self, questions: Sequence[str]) -> int:
        """Which question to go on with; the first one by default."""
        at = self._read().at.get(self._session)
        return questions.index(at) if at in questions else 0

    def draft(self, question: str) -> str:
        """What was begun there."""
        return self._read().drafts.get(f"{self._session}/{question}", "")

    def keep(self, question: str, draft: str) -> None:
        """Note question and draft; an empty draft is forgotten."""
        kept = self._read()
        drafts = {k: v for k, v in kept.drafts.items() if k != f"{self._session}/{question}"}
        if draft:
            drafts[f"{self._session}/{question}"] = draft
        changed = kept.model_copy(update={"at": {**kept.at, self._session: question}, "drafts": drafts})
        if changed != kept:
            write_model(self._path, changed)

    def _read(self) -> _Kept:
        try:
            return _Kept.model_validate_json(self._path.read_bytes())
        except (OSError, ValidationError):
            return _Kept()
