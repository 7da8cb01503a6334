"""The two rules that learners write: what right ones answer, and the hidden inputs that a variant makes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from archlab.grading.canonical import digest
from archlab.grading.rules import judged
from archlab.spec.grading import Evidence, RuleCase, Truth
from archlab.spec.scenario import Variant

Query = dict[str, Any]
Path = tuple[str, ...]

MISSING, TYPE = "a field is missing", "a field has the wrong type"
ROLLBACK = "a rollback to a former champion"
NO_DIGEST = "two digests that are alike because both are empty"
ON_OTHER_DATA = "better, on other data"
REQUESTER_APPROVES = "a person asked the service account for it and approved it"
NOBODY_ASKED = "the service account made it and nobody says for whom"
IN_PERSON = "a person registered it, another approved it"


def comparable_evidence(evidence: Evidence, variant: Variant) -> Truth:
    """What the submitted rule about the hold-outs earns."""
    return judged(evidence.trial, comparable_cases(evidence, variant), {"percent": _fewer(evidence)})


def comparable_cases(evidence: Evidence, variant: Variant) -> tuple[RuleCase, ...]:
    """Hidden inputs: digests and figures come from the seed, the limit from a knob."""
    dice = random.Random(f"comparable/{variant.seed}")  # noqa: S311 - figures for exercises, no secrets
    return tuple(_comparable(dice, _fewer(evidence)))


def requested_by_another(evidence: Evidence, variant: Variant) -> Truth:
    """What the submitted rule about requesters earns."""
    return judged(evidence.trial, requester_cases(evidence, variant), {"robot": _robot(evidence)})


def requester_cases(evidence: Evidence, variant: Variant) -> tuple[RuleCase, ...]:
    """Hidden inputs: people come from the seed, the service account from a knob."""
    dice = random.Random(f"requester/{variant.seed}")  # noqa: S311 - names for exercises, no secrets
    people = dice.sample(["care-lead", "operations-lead", "planning-lead", "approver", "learner"], 3)
    return tuple(_requesters(people, _robot(evidence)))


def missed(cases: tuple[RuleCase, ...], evidence: Evidence, said: str) -> set[str]:
    """Kinds of inputs that the submitted rule decided so, though it should not have."""
    results = evidence.trial.results if evidence.trial else {}
    right = {True: "allow", False: "deny"}
    return {c.category for c in cases if results.get(digest(c.input)) == said != right[c.allow]}


def _fewer(evidence: Evidence) -> int:
    return int(evidence.scenario.knobs["fewer-percent"])


def _robot(evidence: Evidence) -> str:
    return str(evidence.scenario.knobs["robot"])


def _comparable(dice: random.Random, percent: int) -> Iterator[RuleCase]:
    ours, theirs = (f"{dice.getrandbits(256):064x}" for _ in range(2))
    rows = 100 * dice.randrange(60, 160)
    least = rows * (100 - percent) // 100
    good = _promotion(version={"data_digest": ours, "metrics": {"holdout_rows": rows}, "value": 0.76})
    good["evidence"]["champion"] |= {"data_digest": ours, "metrics": {"holdout_rows": rows}}
    yield RuleCase(category="the same data, the same rows", allow=True, input=good)
    yield _changed("the same data, just enough rows", True, good, {("version", "metrics", "holdout_rows"): least})
    yield _changed("the same data, more rows", True, good, {("version", "metrics", "holdout_rows"): rows + 500})
    yield _changed("the same data, too few rows", False, good, {("version", "metrics", "holdout_rows"): least - 1})
    yield _changed(ON_OTHER_DATA, False, good, {("version", "data_digest"): theirs, ("version", "value"): 0.93})
    yield _changed("worse, on other data", False, good, {("version", "data_digest"): theirs, ("version", "value"): 0.6})
    yield _changed("the digest's beginning is the same", False, good, {("version", "data_digest"): ours[:32]})
    empty: dict[Path, Any] = {("version", "data_digest"): "", ("champion", "data_digest"): ""}
    yield _changed(NO_DIGEST, False, good, empty)
    back: dict[Path, Any] = {("version", "held_champion"): True, ("version", "data_digest"): theirs}
    yield _changed(ROLLBACK, True, good, back)
    yield _changed(ROLLBACK, True, good, back | {("version", "metrics", "holdout_rows"): 200})
    first = _changed("the first champion of a model", True, good, {("has_champion",): False})
    del first.input["evidence"]["champion"]
    yield first
    both = (("version", "data_digest"), ("version", "metrics", "holdout_rows"))
    theirs_too = (("champion", "data_digest"), ("champion", "metrics", "holdout_rows"))
    yield from _damaged(good, (*both, *theirs_too, ("version", "held_champion"), ("has_champion",)))
    rolled = _changed(ROLLBACK, True, good, back).input
    yield from _damaged(rolled, both)


def _requesters(people: list[str], robot: str) -> Iterator[RuleCase]:
    asked, other, third = people
    good = _promotion(version={"author": robot, "approved_by": other}, tags={"archlab.requested_by": asked})
    tag: Path = ("tags", "archlab.requested_by")
    yield RuleCase(category="one person asked the service account for it, another approved it", allow=True, input=good)
    yield _changed(REQUESTER_APPROVES, False, good, {("version", "approved_by"): asked})
    yield _changed("the service account approved it", False, good, {("version", "approved_by"): robot})
    yield _changed("the service account says that it asked itself", False, good, {tag: robot})
    yield _changed(NOBODY_ASKED, False, good, {tag: ""})
    yield _without(_changed(NOBODY_ASKED, False, good, {}), tag)
    person = _changed(IN_PERSON, True, good, {("version", "author"): third})
    yield _without(person, tag)
    yield _changed("one asked, another registered, a third approved", True, good, {("version", "author"): third})
    own: dict[Path, Any] = {("version", "author"): other}
    yield _without(_changed("a person registered and approved it", False, good, own), tag)
    yield _changed("one asked, another registered and approved", False, good, own)
    asks_and_approves: dict[Path, Any] = {("version", "author"): third, ("version", "approved_by"): asked}
    yield _changed("a person asked another for it and approved it", False, good, asks_and_approves)
    back: dict[Path, Any] = {("version", "held_champion"): True}
    yield _without(_changed(ROLLBACK, True, good, back), tag)
    yield _changed(ROLLBACK, True, good, back | {("version", "approved_by"): asked})
    fields = (("version", "author"), ("version", "approved_by"), ("version", "held_champion"))
    yield from _damaged(good, fields)
    yield from _damaged(_changed(ROLLBACK, True, good, back).input, fields[:2])
    yield _changed(TYPE, False, good, {tag: [asked]})


def _promotion(*, version: Query, tags: dict[str, str] | None = None) -> Query:
    usual = {"version": "2", "metric": "auc", "value": 0.75, "held_champion": False, "metrics": {"holdout_rows": 9000}}
    return {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": "promotion/champion",
        "resource": {"kind": "model-version", "name": "some-model", "version": "2", "tags": tags or {}},
        "evidence": {
            "version": usual | version,
            "has_champion": True,
            "champion": {"version": "1", "value": 0.74, "metrics": {"holdout_rows": 9000}},
        },
        "time": "2013-12-22T08:00:00Z",
    }


def _place(query: Query, path: Path) -> tuple[Query, str]:
    """Where a field is: below `evidence`, and tags below the resource."""
    found: Query = query["resource"] if path[0] == "tags" else query["evidence"]
    for part in path[:-1]:
        found = found[part]
    return found, path[-1]


def _changed(category: str, allow: bool, query: Query, changes: dict[Path, Any]) -> RuleCase:
    made = deepcopy(query)
    for path, value in changes.items():
        parent, name = _place(made, path)
        parent[name] = value
    return RuleCase(category=category, allow=allow, input=made)


def _without(case: RuleCase, path: Path) -> RuleCase:
    made = deepcopy(case.input)
    parent, name = _place(made, path)
    del parent[name]
    return case.model_copy(update={"input": made})


def _damaged(good: Query, fields: tuple[Path, ...]) -> Iterator[RuleCase]:
    """Each field missing, and of another type: all refused."""
    for path in fields:
        yield _without(_changed(MISSING, False, good, {}), path)
        parent, name = _place(good, path)
        wrong = {str: 7, bool: "no"}.get(type(parent[name]), "9999")
        yield _changed(TYPE, False, good, {path: wrong})
