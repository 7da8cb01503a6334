"""Truths about who may use what of whose: grants, columns, who decides, and a rule of one's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from archlab.grading.canonical import digest
from archlab.grading.rules import judged
from archlab.plan.access import Access
from archlab.spec.access import APPROVER, DEVELOPER, OPERATOR, Grant, May
from archlab.spec.grading import Evidence, RuleCase, Truth
from archlab.spec.policy import DecisionRecord, Subject
from archlab.spec.scenario import Variant
from archlab_scenarios.five_teams import books

ASKS = "revenue"
"""The team that is to be lent a model."""
PEOPLE = (
    "learner",
    "approver",
    "finance",
    "planning-lead",
    "operations-lead",
    "care-lead",
    "maintenance-lead",
    "revenue-lead",
    "care-engineer",
)


def may_it_use(evidence: Evidence, _variant: Variant) -> Truth:
    """Choice: what the gate says of a version of a team's that looks a column up."""
    team, (view, _, column) = books.knob(evidence, "user-team"), books.knob(evidence, "column").partition(".")
    access = Access.of(evidence.scenario)
    asker = Subject(user="somebody", team=team, roles=(DEVELOPER,))
    verdict = access.view(asker, view)
    owner = access.owner_of_view(view)
    if not verdict.allow:
        answer = "no-grant"
    elif column in access.hidden(asker, view):
        answer = "left-out"
    else:
        answer = "everybodys" if owner is None else "own" if owner == team else "granted"
    return Truth(answer=answer, facts={"why": verdict.why, "view": view, "column": column})


def who_may_lend(evidence: Evidence, _variant: Variant) -> Truth:
    """Multi: whose decision the rule access/granted_by_owner lets pass."""
    scenario, model = evidence.scenario, books.knob(evidence, "wanted-model")
    owner = scenario.model(model).team
    found = []
    for name in PEOPLE:
        user = scenario.user(name)
        if OPERATOR in user.roles or (APPROVER in user.roles and user.team == owner):
            found.append(name)
    return Truth(answer=found, facts={"owner": owner, "people": " and ".join(found)})


def just_enough(evidence: Evidence, _variant: Variant) -> Truth:
    """State: the model is lent to be asked, by its owner, and nothing more of it is."""
    model = books.knob(evidence, "partner-model")
    owner = evidence.scenario.model(model).team
    lent = lent_grants(evidence)
    kinds = sorted(g.may.value for g in lent)
    by = decided_by(evidence, lent)
    people = ", ".join(sorted({d.query.subject.user for d in by})) or "nobody"
    reached = kinds == [May.CALL.value] and len(by) == 1 and by[0].query.subject.team == owner
    return Truth(
        answer=reached,
        facts={"model": model, "owner": owner, "people": people},
        saw=f"{ASKS} may {' and '.join(kinds) or 'do nothing with'} {model}; decided by {people}.",
        looked_for=f"{ASKS} may ask {model} and do nothing else with it, as somebody of {owner} decided.",
    )


def lent_grants(evidence: Evidence) -> list[Grant]:
    """What the team has of the model."""
    model = books.knob(evidence, "partner-model")
    return [g for g in evidence.scenario.grants if g.team == ASKS and g.model == model]


def decided_by(evidence: Evidence, grants: list[Grant]) -> list[DecisionRecord]:
    """Records of the decisions that grants rest on."""
    wanted = {g.decision for g in grants}
    return [d for d in evidence.decisions if d.id in wanted]


def lent_narrowly(evidence: Evidence, variant: Variant) -> Truth:
    """What the submitted rule earns."""
    facts = {"barred": books.knob(evidence, "barred-team"), "column": books.knob(evidence, "secret-column")}
    return judged(evidence.trial, lending_cases(evidence, variant), facts)


def missed(evidence: Evidence, variant: Variant, said: str) -> set[str]:
    """Kinds of inputs that the submitted rule decided so, though it should not have."""
    results = evidence.trial.results if evidence.trial else {}
    right = {True: "allow", False: "deny"}
    cases = lending_cases(evidence, variant)
    return {c.category for c in cases if results.get(digest(c.input)) == said != right[c.allow]}


def lending_cases(evidence: Evidence, variant: Variant) -> tuple[RuleCase, ...]:
    """Hidden inputs: names from the scenario, the barred team and the column from the seed."""
    dice = random.Random(f"lent-narrowly/{variant.seed}")  # noqa: S311 - an exercise, no secrets
    barred, secret = books.knob(evidence, "barred-team"), books.knob(evidence, "secret-column")
    return tuple(_cases(dice, barred, secret))


def _cases(dice: random.Random, barred: str, secret: str) -> Iterator[RuleCase]:
    others = [t for t in books.TEAMS if t not in (barred, "maintenance")]
    other = dice.choice(others)
    ask = _query("model", "aircraft-reliability", other, May.CALL.value, [])
    read = _query("model", "aircraft-reliability", other, May.READ.value, [])
    view = _query("feature-view", "aircraft_profile", other, May.READ.value, [secret])
    yield RuleCase(category="a model to be asked", allow=True, input=ask)
    yield RuleCase(category="a model to be read", allow=True, input=read)
    yield RuleCase(category="the view without the column", allow=True, input=view)
    yield _case("the view without more than that", True, view, without=["profile_engines", secret])
    yield _case("the view with the column", False, view, without=[])
    yield _case("the view without other columns only", False, view, without=["profile_engines"])
    state = _query("feature-view", "aircraft_state", other, May.READ.value, [])
    yield RuleCase(category="another view", allow=True, input=state)
    for good in (ask, read, view, state):
        yield _case("no reason", False, good, reason="   ")
        yield _case("no reason", False, good, reason="because")
        for field in ("team", "may", "without", "reason"):
            yield _damaged(good, field, gone=True)
            yield _damaged(good, field, gone=False)
    yield _case("the barred team asks a model", True, ask, team=barred)
    yield _case("the barred team reads a model", False, read, team=barred)
    yield _case("the barred team reads a view", False, view, team=barred)
    yield _case("the barred team reads a view", False, state, team=barred)


def _case(category: str, allow: bool, good: dict[str, Any], **evidence: Any) -> RuleCase:
    changed = deepcopy(good)
    changed["evidence"] |= evidence
    return RuleCase(category=category, allow=allow, input=changed)


def _damaged(good: dict[str, Any], field: str, *, gone: bool) -> RuleCase:
    changed = deepcopy(good)
    if gone:
        del changed["evidence"][field]
        return RuleCase(category="a field is missing", allow=False, input=changed)
    changed["evidence"][field] = 7
    return RuleCase(category="a field has the wrong type", allow=False, input=changed)


def _query(kind: str, name: str, team: str, may: str, without: list[str]) -> dict[str, Any]:
    return {
        "subject": {"user": "maintenance-lead", "team": "maintenance", "roles": ["developer", "approver"]},
        "action": "access/grant",
        "resource": {"kind": kind, "name": name, "team": "maintenance"},
        "evidence": {"team": team, "may": may, "without": without, "reason": "spares are planned by it"},
        "time": "2013-12-03T08:00:00Z",
    }
