"""From what a learner typed to a value that can be graded."""

from __future__ import annotations

import math
import re
from typing import Any

from archlab.grading.designs import InvalidAnswerError, design_value, readable
from archlab.spec.grading import Question, QuestionKind

__all__ = ["InvalidAnswerError", "parse", "shown", "sound"]

MAX_CHARACTERS = 1000
MAX_RULE_BYTES = 16 << 10
"""A submitted rule; what is longer is no rule that a reviewer would read."""
MAX_NUMBER = 1e300
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


def parse(question: Question, raw: str) -> Any:
    """A key, a list of keys, a number, or a rule's text, as the question's kind asks.

    Raises:
        InvalidAnswerError: unreadable; says what would be readable.
    """
    if question.kind is QuestionKind.DESIGN:
        return design_value(raw)
    if question.kind is QuestionKind.REGO:
        return _rule(raw)
    text = raw.strip()
    if len(text) > MAX_CHARACTERS:
        raise InvalidAnswerError(f"The answer has {len(text)} characters; at most {MAX_CHARACTERS} are read.")
    match question.kind:
        case QuestionKind.CHOICE:
            return _key(question, text)
        case QuestionKind.MULTI:
            return sorted(_keys(question, text))
        case QuestionKind.ORDER:
            return _order(question, text)
        case QuestionKind.PREDICT if question.options:
            return sorted(_keys(question, text))
        case QuestionKind.NUMERIC | QuestionKind.PREDICT:
            return _number(question, text)
    raise InvalidAnswerError(
        f"{question.id} is answered by the platform's state, not by a value.",
        f"Bring the lab there, then: archlab grade {question.id}",
    )


def shown(value: Any) -> str:
    """An answer for people."""
    if isinstance(value, list):
        return ", ".join(str(v) for v in value)
    if isinstance(value, str) and "\n" in value:
        return f"a rule of {len(value.splitlines())} lines"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def sound(question: Question, value: Any) -> bool:
    """Whether a value from a file is what `parse` could have given: files are the learner's to write."""
    keys = [o.key for o in question.options]
    match question.kind:
        case QuestionKind.CHOICE:
            return value in keys
        case QuestionKind.MULTI | QuestionKind.ORDER:
            return _distinct(keys, value) and (question.kind is QuestionKind.MULTI or len(value) == len(keys))
        case QuestionKind.PREDICT if keys:
            return _distinct(keys, value)
        case QuestionKind.REGO:
            return isinstance(value, str) and len(value.encode(errors="replace")) <= MAX_RULE_BYTES
        case QuestionKind.NUMERIC | QuestionKind.PREDICT:
            return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_NUMBER
        case QuestionKind.STATE:
            return value is None
        case QuestionKind.DESIGN:
            return readable(value)


def _distinct(keys: list[str], value: Any) -> bool:
    listed = isinstance(value, list) and bool(value) and all(v in keys for v in value)
    return listed and len(set(value)) == len(value)


def _rule(raw: str) -> str:
    if not raw.strip():
        raise InvalidAnswerError("The rule is empty.", "Hand in a file: archlab answer ID RULE.rego")
    if (size := len(raw.encode(errors="replace"))) > MAX_RULE_BYTES:
        raise InvalidAnswerError(
            f"The rule has {size} bytes; at most {MAX_RULE_BYTES} are read.", "Split or shorten it."
        )
    return raw


def _key(question: Question, text: str) -> str:
    keys = [o.key for o in question.options]
    wanted = text.lower()
    if wanted not in keys:
        raise InvalidAnswerError(f"{text!r} is not an option of {question.id}.", f"Its options: {', '.join(keys)}.")
    return wanted


def _keys(question: Question, text: str) -> list[str]:
    parts = [p for p in re.split(r"[,\s]+", text) if p]
    if not parts:
        raise InvalidAnswerError("The answer names no option.", f"Separate keys by commas: {_example(question)}")
    keys = [_key(question, part) for part in parts]
    if len(set(keys)) != len(keys):
        raise InvalidAnswerError("The answer names an option twice.", f"Separate keys by commas: {_example(question)}")
    return keys


def _order(question: Question, text: str) -> list[str]:
    keys = _keys(question, re.sub(r"[<>]", ",", text))
    missing = [o.key for o in question.options if o.key not in keys]
    if missing:
        raise InvalidAnswerError(f"The order leaves out {', '.join(missing)}.", f"For example: {_example(question)}")
    return keys


def _number(question: Question, text: str) -> float:
    unit = question.unit.strip()
    bare = text.removesuffix(unit).removeprefix(unit).strip() if unit else text
    bare = bare.removesuffix("%").strip().replace("_", "")
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", bare):
        bare = bare.replace(",", "")
    if not _NUMBER.fullmatch(bare) or not math.isfinite(float(bare)):
        wanted = f" in {unit}" if unit else ""
        raise InvalidAnswerError(f"{text!r} is not a number.", f"Write it{wanted} with a decimal point, e.g. 12.5.")
    return float(bare)


def _example(question: Question) -> str:
    return ",".join(o.key for o in question.options[:3])
