"""Designs as learners write them: a YAML file of changes, the same that `archlab set` keeps as overrides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml
from pydantic import ValidationError

from archlab.errors import UserError
from archlab.spec.experiments import DesignTrial
from archlab.spec.grading import Evidence, Question, QuestionKind
from archlab.spec.scenario import Overrides

Measure = Callable[[Question, Overrides], DesignTrial]
"""Measures a design in a lab of its own, beside the reference and the naive ones; takes minutes."""

MAX_CHARACTERS = 20_000
PRESENT = "lab"
"""Typed instead of a file: the changes that the lab has now."""

_EXAMPLE = "For example: models: {flight-time: {mode: batch, batch_every: P1D}, arrival-delay: {replicas: 1}}"


class InvalidAnswerError(UserError):
    """An answer that can't be read; it spends no attempt."""


def design_value(text: str) -> dict[str, Any] | None:
    """Overrides as JSON, from YAML text; None for the lab's own.

    Raises:
        InvalidAnswerError: not YAML, or not a design; names the place.
    """
    if text.strip() == PRESENT:
        return None
    if len(text) > MAX_CHARACTERS:
        raise InvalidAnswerError(f"The design has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read.")
    try:
        tree = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidAnswerError(f"The design is no YAML: {' '.join(str(error).split())[:200]}.", _EXAMPLE) from None
    if not isinstance(tree, dict):
        raise InvalidAnswerError("The design is no mapping of models and feature_every.", _EXAMPLE)
    try:
        return dump(Overrides.model_validate(tree))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InvalidAnswerError(f"The design can't be read: {place}: {first['msg']}.", _EXAMPLE) from None


def dump(overrides: Overrides) -> dict[str, Any]:
    """As it stands in the gradebook: only what differs from the scenario."""
    dumped: dict[str, Any] = overrides.model_dump(mode="json", exclude_none=True)
    return dumped


def readable(value: Any) -> bool:
    """Whether a value from a file is a design."""
    try:
        Overrides.model_validate(value)
    except ValidationError:
        return False
    return True


def measured(question: Question, value: Any, evidence: Evidence, measure: Measure | None) -> tuple[Any, Evidence]:
    """Answer and evidence of a design question, with what was measured; of any other as they were.

    Raises:
        UserError: the design names what the lab does not have.
        ArchlabError: it could not be measured.
    """
    if question.kind is not QuestionKind.DESIGN:
        return value, evidence
    overrides = evidence.overrides if value is None else Overrides.model_validate(value)
    if measure is None:
        raise UserError(f"{question.id} can't be measured here.", f"Run: archlab answer {question.id} FILE")
    return dump(overrides), evidence.model_copy(update={"design": measure(question, overrides)})
