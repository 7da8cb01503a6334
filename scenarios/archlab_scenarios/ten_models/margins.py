"""The rule of `clear-margin`: what a right one answers, and the hidden inputs that a variant makes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from archlab.grading.canonical import digest
from archlab.grading.rules import judged
from archlab.spec.grading import Evidence, RuleCase, Truth
from archlab.spec.scenario import Variant

LOWER = ("mae", "pinball")
"""Metrics of which less is better; of `auc` and `explained_variance` more is."""

ROLLBACK = "a rollback to a former champion, which need not be better"


def clear_margin(evidence: Evidence, variant: Variant) -> Truth:
    """What the submitted rule earns."""
    cases = margin_cases(evidence, variant)
    return judged(evidence.trial, cases, {"percent": _percent(evidence), "rows": _rows(evidence)})


def margin_cases(evidence: Evidence, variant: Variant) -> tuple[RuleCase, ...]:
    """Hidden inputs: the figures come from the seed, the thresholds from the knobs."""
    dice = random.Random(f"clear-margin/{variant.seed}")  # noqa: S311 - figures for exercises, no secrets
    return tuple(_cases(dice, _percent(evidence), _rows(evidence)))


def missed(evidence: Evidence, variant: Variant, said: str) -> set[str]:
    """Kinds of inputs that the submitted rule decided so, though it should not have."""
    results = evidence.trial.results if evidence.trial else {}
    cases = margin_cases(evidence, variant)
    right = {True: "allow", False: "deny"}
    return {c.category for c in cases if results.get(digest(c.input)) == said != right[c.allow]}


def _percent(evidence: Evidence) -> int:
    return int(evidence.scenario.knobs["margin-percent"])


def _rows(evidence: Evidence) -> int:
    return int(evidence.scenario.knobs["margin-rows"])


def _cases(dice: random.Random, percent: int, rows: int) -> Iterator[RuleCase]:
    for metric in ("auc", "mae"):
        champion = round(dice.uniform(0.6, 0.8) if metric == "auc" else dice.uniform(6, 14), 4)
        sign = -1 if metric in LOWER else 1

        def at(share: float, champion: float = champion, sign: int = sign) -> float:
            """A value that is better than the champion by so many percent of it."""
            return round(champion * (1 + sign * share / 100), 6)

        good = _query(metric, at(percent + dice.uniform(0.3, 0.8)), champion, rows + dice.randrange(1, 5000))
        kind = "more is better" if sign > 0 else "less is better"
        yield RuleCase(category=f"clearly better ({kind})", allow=True, input=good)
        yield _case(f"better, but by too little ({kind})", False, good, value=at(percent - dice.uniform(0.3, 0.6)))
        yield _case(f"worse than the champion ({kind})", False, good, value=at(-dice.uniform(2, 5)))
        yield _case(f"worse by more than the margin ({kind})", False, good, value=at(-percent - 2))
        yield _case("too few hold-out rows", False, good, holdout_rows=rows - dice.randrange(1, rows // 4))
        yield _case("just enough hold-out rows", True, good, holdout_rows=rows)
        yield _case(ROLLBACK, True, good, **_back(at(-3)))
        yield _case("a rollback with too few hold-out rows", True, good, **_back(at(-3)), holdout_rows=rows // 2)
        yield from _damaged(good)
    first = _query("auc", 0.71, 0.0, rows + 10)
    first["evidence"]["has_champion"] = False
    del first["evidence"]["champion"]
    yield RuleCase(category="the first champion of a model", allow=True, input=first)
    yield _case("the first champion, too few hold-out rows", False, first, holdout_rows=rows // 2)
    unknown = _query("happiness", 0.9, 0.5, rows + 10)
    yield RuleCase(category="a metric of which nobody said what is better", allow=False, input=unknown)


def _back(value: float) -> dict[str, Any]:
    return {"value": value, "held_champion": True}


def _damaged(good: dict[str, Any]) -> Iterator[RuleCase]:
    """Fields missing or of the wrong type: all refused."""
    for path in (
        ("version", "metric"),
        ("version", "value"),
        ("version", "metrics", "holdout_rows"),
        ("version", "held_champion"),
        ("has_champion",),
        ("champion", "value"),
    ):
        broken = deepcopy(good)
        parent, name = _parent(broken, path)
        del parent[name]
        yield RuleCase(category="a field is missing", allow=False, input=broken)
    for path, value in (
        (("version", "value"), "0.99"),
        (("version", "metrics", "holdout_rows"), "many"),
        (("champion", "value"), [0.1]),
        (("version", "held_champion"), "yes"),
        (("has_champion",), "no"),
    ):
        broken = deepcopy(good)
        parent, name = _parent(broken, path)
        parent[name] = value
        yield RuleCase(category="a field has the wrong type", allow=False, input=broken)


def _parent(query: dict[str, Any], path: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    found: dict[str, Any] = query["evidence"]
    for step in path[:-1]:
        found = found[step]
    return found, path[-1]


def _case(category: str, allow: bool, good: dict[str, Any], **version: Any) -> RuleCase:
    """The good query with fields of its version changed; `holdout_rows` is a metric."""
    changed = deepcopy(good)
    about = changed["evidence"]["version"]
    if "holdout_rows" in version:
        about["metrics"]["holdout_rows"] = version.pop("holdout_rows")
    about |= version
    return RuleCase(category=category, allow=allow, input=changed)


def _query(metric: str, value: float, champion: float, rows: int) -> dict[str, Any]:
    return {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": "promotion/champion",
        "resource": {"kind": "model_version", "name": "some-model", "version": "2"},
        "evidence": {
            "version": {
                "version": "2",
                "metric": metric,
                "value": value,
                "held_champion": False,
                "metrics": {metric: value, "holdout_rows": rows},
            },
            "has_champion": True,
            "champion": {"version": "1", "value": champion},
        },
        "time": "2013-12-03T08:00:00Z",
    }
