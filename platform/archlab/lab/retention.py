"""What has to go by the rules, and its deletion: version, run and files, each decided by the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from archlab.errors import ArchlabError, NotFoundError
from archlab.lab.facts import versions_of
from archlab.lab.lab import Lab
from archlab.lab.standing import standings
from archlab.lab.work import clock
from archlab.policy.deletions import Tombstone, tombstones
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.exceptions import SECONDS_PER_DAY
from archlab.registry.evidence import SHA256, hold
from archlab.spec.grading import VersionFacts
from archlab.spec.policy import DecisionRecord, PolicyResource, Query, Standing, Subject

KEEP = "retention/keep"
SHARED = "retention/registered_sources"
"""The rule that keeps what another registered version comes from."""
FILES = "/mlflow/api/2.0/mlflow-artifacts/artifacts"


@dataclass(frozen=True, slots=True)
class Due:
    """A version that a rule says must not be kept any longer."""

    model: str
    version: str
    sha256: str
    because: tuple[str, ...]


def due(lab: Lab) -> list[Due]:
    """Retired versions that have to be deleted by now, on the business clock."""
    engine, now = EmbeddedEngine(lab.folder), clock(lab)
    found: list[Due] = []
    for standing, fact in _retired(lab):
        decision = engine.decide(_query(lab, standing, fact, now))
        if not decision.allow:
            because = tuple(reason.message for reason in decision.reasons)
            found.append(Due(fact.model, fact.version, fact.tags.get(SHA256, ""), because))
    return found


def delete(lab: Lab, one: Due, *, user: str | None = None) -> None:
    """Delete a version; the gate decides.

    Raises:
        RefusedError: it may not go; the message carries every reason.
    """
    body = {"name": one.model, "version": one.version}
    lab.registry(user).request("DELETE", "/model-versions/delete", body)


def sweep(lab: Lab, *, user: str | None = None) -> list[str]:
    """Take away what deleted versions left behind: files, logged models, runs; what can't go, with the reason.

    Goes by the decision log, so that a deletion that was interrupted, or done by a plain client, is finished too.
    """
    left: list[str] = []
    records = (DecisionRecord.model_validate(found) for found in lab.control.get("/decisions"))
    for stone in tombstones(records):
        for what, take_away in _steps(lab, stone, user):
            try:
                take_away()
            except NotFoundError:
                continue
            except ArchlabError as error:
                if SHARED in error.message:
                    continue
                left.append(f"{what} of {stone.model} version {stone.version}: {error.message}")
    lab.control.post("/releases/reconcile", {})
    return left


def _steps(lab: Lab, stone: Tombstone, user: str | None) -> Iterator[tuple[str, Callable[[], object]]]:
    registry, files = lab.registry(user), lab.client(FILES, user)
    if stone.path:
        yield "files", lambda: files.delete(f"/{quote(stone.path)}")
    if stone.model_id:
        yield "logged model", lambda: registry.delete(f"/logged-models/{quote(stone.model_id, safe='')}")
    if stone.run_id:
        yield "run", lambda: registry.post("/runs/delete", {"run_id": stone.run_id})


def _retired(lab: Lab) -> Iterator[tuple[Standing, VersionFacts]]:
    """Every version that is retired, by itself or with its model, with the decision that counts."""
    for standing in standings(lab):
        if standing.state == "retired":
            try:
                facts = versions_of(lab, standing.model)
            except NotFoundError:
                continue
            yield from ((standing, fact) for fact in facts if standing.version in ("", fact.version))


def _query(lab: Lab, standing: Standing, fact: VersionFacts, now: datetime) -> Query:
    learner = lab.user()
    age_days = (now - standing.since).total_seconds() / SECONDS_PER_DAY
    return Query(
        subject=Subject(user=learner.name, team=learner.team, roles=learner.roles),
        action=KEEP,
        resource=PolicyResource(
            kind="model-version", name=fact.model, version=fact.version, digest=fact.tags.get(SHA256, "")
        ),
        evidence={"state": standing.state, "retired_age_days": age_days, "hold": hold(fact.tags)},
        time=now,
    )
