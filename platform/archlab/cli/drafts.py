"""An answer while it is being made, key by key. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from string import ascii_lowercase

from archlab.spec.grading import Question, QuestionKind

_TYPED = "0123456789.,-+eE_%"


@dataclass(frozen=True, slots=True)
class Draft:
    """Where the cursor is and what is marked, ordered or typed."""

    question: Question
    cursor: int = 0
    marked: frozenset[str] = frozenset()
    order: tuple[str, ...] = ()
    held: bool = False
    """Order: the option under the cursor is picked up and moves with it."""
    text: str = ""

    @classmethod
    def of(cls, question: Question, raw: str = "") -> Draft:
        """A new one, or one from an earlier answer as `raw` gave it."""
        keys = [o.key for o in question.options]
        if question.kind is QuestionKind.ORDER:
            given = [k for k in raw.split(",") if k in keys]
            return cls(question, order=tuple(given if len(given) == len(keys) else keys))
        if question.options:
            return cls(question, marked=frozenset(k for k in raw.split(",") if k in keys))
        return cls(question, text=raw)

    @property
    def keys(self) -> tuple[str, ...]:
        """Options in the order shown."""
        return self.order or tuple(o.key for o in self.question.options)

    @property
    def raw(self) -> str:
        """As `archlab answer` takes it; empty while there is nothing."""
        if self.question.kind is QuestionKind.ORDER:
            return ",".join(self.order)
        if self.question.options:
            return ",".join(k for k in self.keys if k in self.marked)
        return self.text

    def press(self, key: str) -> Draft | None:
        """The draft after a key; None when the key means nothing here."""
        if not self.question.options:
            typed = self.question.kind in (QuestionKind.NUMERIC, QuestionKind.PREDICT)
            return self._typed(key) if typed else None
        if key in ("up", "down"):
            return self._moved(-1 if key == "up" else 1)
        if key == "space":
            return self._chosen()
        if len(key) == 1 and key in ascii_lowercase[: len(self.keys)]:
            at = replace(self, cursor=ascii_lowercase.index(key), held=False)
            return at if self.question.kind is QuestionKind.ORDER else at._chosen()
        return None

    def _moved(self, step: int) -> Draft:
        target = min(max(self.cursor + step, 0), len(self.keys) - 1)
        if not self.held:
            return replace(self, cursor=target)
        order = list(self.order)
        order.insert(target, order.pop(self.cursor))
        return replace(self, cursor=target, order=tuple(order))

    def _chosen(self) -> Draft:
        key = self.keys[self.cursor]
        match self.question.kind:
            case QuestionKind.ORDER:
                return replace(self, held=not self.held)
            case QuestionKind.MULTI | QuestionKind.PREDICT:
                return replace(self, marked=self.marked ^ {key})
            case _:
                return replace(self, marked=frozenset({key}))

    def _typed(self, key: str) -> Draft | None:
        if key == "backspace":
            return replace(self, text=self.text[:-1])
        if key in _TYPED and len(self.text) < 40:
            return replace(self, text=self.text + key)
        return None
