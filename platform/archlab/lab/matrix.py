"""Who can do what, tried through the front door: every kind of member of every team at everything that is a team's.

Each probe is one request with that member's own token. Writes change nothing: what they ask for is refused by MLflow
after the gate has decided (a version that is not there, a metric without a value, a name that is empty). So a refusal
by gate, gateway or control (401, 403) is a no, and every other answer is a yes.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from archlab import identity
from archlab.errors import LabStateError, NotFoundError
from archlab.lab.lab import Lab
from archlab.plan.access import Access, Verdict, sees_all
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.policy import Subject
from archlab.spec.scenario import Scenario, User

NO_VERSION = "999999999"
MLFLOW = "/mlflow/api/2.0/mlflow"
FILES = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
WORKERS = 4
TIMEOUT_S = 30.0
REFUSALS = (401, 403)
UNCLEAR = (429, 500, 502, 504)


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing to try."""

    layer: str
    """`gateway`, `registry`, `runs`, `files`, `releases`, `ledger`, `comparison`, `features`, …"""
    resource: str
    owner: str
    verb: str
    """`call`, `read` or `write`."""
    method: str
    path: str
    body: Any = None
    shows: str = ""
    """The answer counts as a yes only when this text is in it: of listings, which leave out what is another's."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one member's probe came to, beside what is declared."""

    user: str
    team: str
    roles: tuple[str, ...]
    layer: str
    resource: str
    owner: str
    verb: str
    declared: bool
    why: str
    """What allows or refuses it."""
    found: bool | None
    """None: no clear answer."""
    status: int
    detail: str = ""

    @property
    def agrees(self) -> bool:
        """Whether it is as declared."""
        return self.found is self.declared


def members(scenario: Scenario) -> list[User]:
    """One user for each team and set of roles."""
    found: dict[tuple[str, tuple[str, ...]], User] = {}
    for user in scenario.users:
        found.setdefault((user.team, tuple(sorted(user.roles))), user)
    return list(found.values())


def declared(scenario: Scenario, subject: Subject, probe: Probe) -> Verdict:
    """What the scenario says of a probe."""
    access = Access.of(scenario)
    match probe.layer, probe.verb:
        case _, "call":
            return access.call(subject, probe.resource)
        case _, "write":
            return access.write(subject, probe.owner)
        case "features", _:
            view, _, column = probe.resource.partition(".")
            verdict = access.view(subject, view)
            if verdict.allow and column in access.hidden(subject, view):
                return Verdict(False, f"{subject.team}'s grant of {view} leaves out {column}")
            return verdict
        case (("ledger" | "quotas" | "experiments"), _):
            return _own(subject, probe.owner)
        case _:
            return access.read(subject, probe.resource)


def _own(subject: Subject, owner: str) -> Verdict:
    if sees_all(subject):
        return Verdict(True, "the platform's team and operators see everything")
    same = subject.team == owner
    return Verdict(same, f"it is {owner}'s own" if same else f"it is {owner}'s, and can't be granted")


def probes(lab: Lab) -> list[Probe]:
    """Everything that is tried, for each model, team and restricted view of a lab.

    Raises:
        LabStateError: the lab does not answer.
    """
    scenario = lab.scenario
    made = [probe for model in scenario.models for probe in _of_model(lab, model.name, model.team)]
    owning = sorted({model.team for model in scenario.models})
    made += [Probe("ledger", f"bill of {t}", t, "read", "GET", f"/control/budgets?team={t}") for t in owning]
    made += [Probe("quotas", f"requests of {t}", t, "read", "GET", "/control/quotas", shows=f'"{t}":') for t in owning]
    return made + list(_of_views(lab, scenario))


def _worth_trying(door: Door, tried: list[Probe]) -> list[Probe]:
    """Without listings that don't name a model even to the platform, which sees all: what is not loaded has no metrics.

    A listing that gives no clear answer is tried on: it has to show.
    """
    return [p for p in tried if not p.shows or _answered(p, *door.ask(identity.PLATFORM, p)) is not False]


def _of_model(lab: Lab, name: str, owner: str) -> Iterator[Probe]:
    named = f"name={quote(name)}"
    yield Probe("gateway", name, owner, "call", "POST", f"/v2/models/{name}/infer", {"inputs": []})
    yield Probe("registry", name, owner, "read", "GET", f"{MLFLOW}/registered-models/get?{named}")
    listed = f"{MLFLOW}/registered-models/search?max_results=1000"
    yield Probe("search", name, owner, "read", "GET", listed, shows=f'"name": "{name}"')
    tag = {"name": name, "version": NO_VERSION, "key": "probe", "value": ""}
    yield Probe("registry", name, owner, "write", "POST", f"{MLFLOW}/model-versions/set-tag", tag)
    yield Probe("releases", name, owner, "read", "GET", "/control/releases", shows=f'"model":"{name}"')
    yield Probe("champion", name, owner, "read", "GET", f"/control/champions/{name}")
    yield Probe("comparison", name, owner, "read", "GET", f"/control/comparisons/{name}")
    yield Probe("lineage", name, owner, "read", "GET", f"/control/lineage?model={name}")
    yield Probe("traffic", name, owner, "read", "GET", f"/control/traffic?model={name}")
    yield Probe("decisions", name, owner, "read", "GET", "/control/decisions", shows=f'"name":"{name}"')
    yield Probe("metrics", name, owner, "read", "GET", "/control/metrics", shows=f'model="{name}"')
    yield from _of_run(lab, name, owner)


def _of_run(lab: Lab, name: str, owner: str) -> Iterator[Probe]:
    """Where the champion comes from: its run, its experiment, its file."""
    registry = lab.registry()
    try:
        version = registry.get(f"/registered-models/alias?name={quote(name)}&alias=champion")["model_version"]
    except NotFoundError:
        return
    run = str(version.get("run_id", ""))
    if not run:
        return
    experiment = registry.get(f"/runs/get?run_id={run}")["run"]["info"]["experiment_id"]
    yield Probe("runs", name, owner, "read", "GET", f"{MLFLOW}/runs/get?run_id={run}")
    metric = {"run_id": run, "key": "probe"}
    yield Probe("runs", name, owner, "write", "POST", f"{MLFLOW}/runs/log-metric", metric)
    rename = {"experiment_id": experiment, "new_name": ""}
    yield Probe("experiments", name, owner, "write", "POST", f"{MLFLOW}/experiments/update", rename)
    yield Probe("experiments", name, owner, "read", "GET", f"{MLFLOW}/experiments/get?experiment_id={experiment}")
    uri = registry.get(f"/model-versions/get-download-uri?name={quote(name)}&version={version['version']}")
    place = str(uri["artifact_uri"]).partition(":/")[2].lstrip("/")
    yield Probe("files", name, owner, "read", "GET", f"{FILES}/{quote(place)}/model.onnx")


def _of_views(lab: Lab, scenario: Scenario) -> Iterator[Probe]:
    owners = {v.view: v.owner for v in scenario.views}
    for shown in lab.control.get("/features"):
        view = shown["view"]
        owner = owners.get(view, PLATFORM_TEAM)
        yield Probe("features", view, owner, "read", "GET", f"/control/features/{view}")
        left_out = sorted({c for g in scenario.grants if g.view == view for c in g.without})
        for column in left_out:
            path = f"/control/features/{view}?columns={quote(column)}"
            yield Probe("features", f"{view}.{column}", owner, "read", "GET", path)


def matrix(lab: Lab, users: Iterable[User] | None = None) -> list[Cell]:
    """Every probe by every kind of member, beside what is declared.

    Raises:
        LabStateError: the lab does not answer.
    """
    scenario, door = lab.scenario, Door(lab)
    tried = _worth_trying(door, probes(lab))
    work = [(user, probe) for user in (members(scenario) if users is None else users) for probe in tried]
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        return list(pool.map(lambda pair: _cell(door, scenario, *pair), work))


def _cell(door: Door, scenario: Scenario, user: User, probe: Probe) -> Cell:
    subject = Subject(user=user.name, team=user.team, roles=user.roles)
    verdict = declared(scenario, subject, probe)
    status, text = door.ask(user, probe)
    return Cell(
        user=user.name,
        team=user.team,
        roles=user.roles,
        layer=probe.layer,
        resource=probe.resource,
        owner=probe.owner,
        verb=probe.verb,
        declared=verdict.allow,
        why=verdict.why,
        found=_answered(probe, status, text),
        status=status,
        detail="" if status < 400 else text[:300],
    )


def _answered(probe: Probe, status: int, text: str) -> bool | None:
    """Yes, no, or None for an answer that says neither."""
    if status in REFUSALS:
        return False
    if status in UNCLEAR or (status == 503 and probe.verb != "call"):
        return None
    if probe.shows:
        return _plain(probe.shows) in _plain(text) if status == 200 else None
    return True


def _plain(text: str) -> str:
    return text.replace(" ", "")


class Door:
    """The lab's front door. A listing is asked for once by each member."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._gateway = lab.endpoints.gateway
        self._listings: dict[tuple[str, str], tuple[int, str]] = {}

    def ask(self, user: User, probe: Probe) -> tuple[int, str]:
        """Status and body.

        Raises:
            LabStateError: nothing answers.
        """
        key = (user.name, probe.path)
        if not probe.shows:
            return self._send(user, probe)
        if key not in self._listings:
            self._listings[key] = self._send(user, probe)
        return self._listings[key]

    def _send(self, user: User, probe: Probe) -> tuple[int, str]:
        data = None if probe.body is None else json.dumps(probe.body).encode()
        token = identity.mint(self.lab.folder, user)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self._gateway + probe.path, data=data, headers=headers, method=probe.method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except (OSError, HTTPException) as error:
            name = self.lab.name
            raise LabStateError(
                f"Lab {name} does not answer {probe.path} ({error}).", f"Start it with: archlab up --lab {name}"
            ) from None
