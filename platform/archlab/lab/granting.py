"""Grants from team to team: decided by control, then made part of the lab's desired state."""

from __future__ import annotations

from pydantic import ValidationError

from archlab.errors import NotFoundError, UserError
from archlab.lab.changes import apply_overrides
from archlab.lab.lab import Lab
from archlab.plan.access import Access, Verdict
from archlab.spec.access import Grant, May
from archlab.spec.plan import Progress
from archlab.spec.policy import Subject
from archlab.spec.scenario import Scenario


def parse(scenario: Scenario, team: str, may: str, resource: str, without: tuple[str, ...] = ()) -> Grant:
    """A grant as it is typed.

    Raises:
        UserError: it can't be one; the message says why.
    """
    if may not in tuple(May):
        raise UserError(f"{may!r} can't be granted.", "Grant call or read.")
    is_view = resource in {v.view for v in scenario.views}
    if not is_view and resource not in {m.name for m in scenario.models}:
        known = ", ".join([*(m.name for m in scenario.models), *(v.view for v in scenario.views)])
        raise NotFoundError(f"There is no model or restricted view {resource!r}.", f"There are: {known}.")
    try:
        return Grant(team=team, may=May(may), without=without, **{"view" if is_view else "model": resource})
    except ValidationError as error:
        raise UserError(f"That is no grant: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None


def grant(lab: Lab, wanted: Grant, reason: str, user: str | None, progress: Progress) -> tuple[str, ...]:
    """Have a grant decided and carry it out; returns what changed, in words.

    Raises:
        RefusedError: a rule objects.
    """
    decided = _decided(lab, "POST", wanted, reason, user)
    before = lab.overrides
    kept = tuple(g for g in before.granted if g.key != decided.key)
    gone = tuple(g for g in before.revoked if g.key != decided.key)
    return apply_overrides(lab, before.model_copy(update={"granted": (*kept, decided), "revoked": gone}), progress)


def revoke(lab: Lab, unwanted: Grant, reason: str, user: str | None, progress: Progress) -> tuple[str, ...]:
    """Have a grant's end decided and carry it out; returns what changed, in words.

    Raises:
        NotFoundError: there is no such grant.
        RefusedError: a rule objects.
    """
    if unwanted.key not in {g.key for g in lab.scenario.grants}:
        raise NotFoundError(
            f"{unwanted.team} has no grant to {unwanted.may.value} {unwanted.resource}.", "See: archlab access grants"
        )
    decided = _decided(lab, "DELETE", unwanted, reason, user)
    before = lab.overrides
    kept = tuple(g for g in before.granted if g.key != decided.key)
    gone = tuple(g for g in before.revoked if g.key != decided.key)
    declared = [decided] if decided.key in {g.key for g in lab.resolved.grants} else []
    return apply_overrides(lab, before.model_copy(update={"granted": kept, "revoked": (*gone, *declared)}), progress)


def _decided(lab: Lab, method: str, about: Grant, reason: str, user: str | None) -> Grant:
    body = {"grant": about.model_dump(mode="json"), "reason": reason}
    return Grant.model_validate(lab.client("/control", user).request(method, "/grants", body))


def explain(lab: Lab, team: str, resource: str) -> list[tuple[str, Verdict]]:
    """What members of a team may do with a model or view, and why: `(what, verdict)`.

    Raises:
        NotFoundError: there is no such team, model or view.
    """
    scenario, access = lab.scenario, Access.of(lab.scenario)
    if team not in {t.name for t in scenario.teams}:
        known = ", ".join(t.name for t in scenario.teams)
        raise NotFoundError(f"There is no team {team!r}.", f"Teams: {known}.")
    views = {f.view for f in scenario.features} | {v.view for v in scenario.views}
    viewer = Subject(user="a member", team=team, roles=("viewer",))
    if resource in views:
        return [("read", access.view(viewer, resource))]
    if resource not in access.owners:
        known = ", ".join([*access.owners, *sorted(views)])
        raise NotFoundError(f"There is no model or feature view {resource!r}.", f"There are: {known}.")
    developer = viewer.model_copy(update={"roles": ("developer",)})
    return [
        ("call", access.call(viewer, resource)),
        ("read", access.read(viewer, resource)),
        ("write, as a developer", access.write(developer, access.owners[resource])),
        ("write, as a viewer", access.write(viewer, access.owners[resource])),
    ]
