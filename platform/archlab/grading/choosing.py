"""Which questions an exam asks: drawn by a seed, domains covered as evenly as the questions allow."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from archlab.errors import UserError
from archlab.spec.grading import Question


def choose(
    questions: Sequence[Question], *, minutes: int, count: int | None = None, seed: int = 0, exam: str | None = None
) -> tuple[Question, ...]:
    """Questions in the order drawn.

    Each draw takes a question whose domains were asked least so far; the seed breaks ties. Designs are not drawn: how
    long it takes to measure one is up to the machine, and an exam's clock would run meanwhile.

    Args:
        questions: those of the scenario.
        minutes: how long the exam takes; without `count` as many questions as fit by their expected minutes.
        count: how many.
        seed: the same one draws the same.
        exam: only questions of this blueprint, evened over its domains alone.

    Raises:
        UserError: there are not that many, or none fits.
    """
    drawn = [q for q in questions if q.design is None]
    pool = [(q, domains) for q in drawn if (domains := [d for d in q.domains if exam in (None, d.split("/")[0])])]
    random.Random(seed).shuffle(pool)  # noqa: S311 - a draw that can be repeated, no secret
    of = f" for {exam}" if exam else ""
    if count is not None and count > len(pool):
        raise UserError(
            f"The scenario has {len(pool)} questions{of}, not {count}.", f"At most: --questions {len(pool)}"
        )
    asked: Counter[str] = Counter()
    chosen: list[Question] = []
    left = minutes
    while pool and (count is None or len(chosen) < count):
        fitting = [entry for entry in pool if count is not None or entry[0].minutes <= left]
        if not fitting:
            break
        question, domains = min(fitting, key=lambda entry: sum(asked[d] for d in entry[1]) / len(entry[1]))
        pool.remove((question, domains))
        asked.update(domains)
        chosen.append(question)
        left -= question.minutes
    if not chosen:
        raise UserError(f"No question{of} fits into {minutes} minutes.", "Give more: --minutes 60")
    return tuple(chosen)
