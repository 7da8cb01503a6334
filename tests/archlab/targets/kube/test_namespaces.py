"""The namespaces of a lab and its teams: what is in them, whose they are, and which go. The cluster is a dictionary."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from archlab import identity
from archlab.errors import ConflictError, NotFoundError, UserError
from archlab.files import write_model
from archlab.identity import Verifier
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.settings import LabFolder
from archlab.spec.job import Job
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Plan
from archlab.spec.scenario import Overrides
from archlab.targets.kube.api import Api
from archlab.targets.kube.namespaces import Namespaces
from archlab.targets.kube.target import KubeTarget

LAB = "lab"
SCENARIO = resolve(load_scenario(scenario_folder("five-teams") / "scenario.yaml"), 1)[0]
PLAN = layout(LAB, SCENARIO, 1, Overrides())
TEAMS = {f"{LAB}-{tenant.team}" for tenant in PLAN.tenants}


class Stored(Api):
    """An API server that keeps what it is given, by path."""

    def __init__(self) -> None:
        self.namespace = LAB
        self.held: dict[str, Any] = {}

    @property
    def namespaces(self) -> set[str]:
        """Names of those there are."""
        return {path.rpartition("/")[2] for path, body in self.held.items() if body["kind"] == "Namespace"}

    def _json(
        self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None, kind: str = ""
    ) -> Any:
        if method == "PATCH":
            self.held[path] = body
        elif path not in self.held:
            raise NotFoundError(path)
        elif method == "DELETE":
            self.held = {held: entry for held, entry in self.held.items() if not held.startswith(path)}
            return {}
        return self.held[path]


@pytest.fixture
def api() -> Stored:
    return Stored()


@pytest.fixture
def namespaces(api: Stored, tmp_path: Path) -> Namespaces:
    folder = LabFolder(tmp_path / LAB)
    identity.create_keys(folder)
    write_model(folder.scenario, SCENARIO)
    return Namespaces(api, LAB, folder)


def existing(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(api: Stored, name: str) -> dict[str, bytes]:
    data = api.held[f"/api/v1/namespaces/{name}/secrets/archlab-keys"]["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def test_every_team_gets_one_that_is_watched_and_restricted(api: Stored, namespaces: Namespaces) -> None:
    namespaces.make(PLAN)
    assert api.namespaces == {LAB, *TEAMS} == set(namespaces.of(PLAN))
    labels = api.held[f"/api/v1/namespaces/{LAB}-revenue"]["metadata"]["labels"]
    assert (labels["archlab.dev/lab"], labels["archlab.dev/team"]) == (LAB, "revenue")
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_teams_namespace_holds_no_private_key_and_a_token_of_the_team(api: Stored, namespaces: Namespaces) -> None:
    namespaces.make(PLAN)
    found = secret(api, f"{LAB}-revenue")
    assert set(found) == {"release.pub.pem", "trusted.pem", "replica.token"}
    assert not any(b"PRIVATE" in content for content in found.values())
    subject = Verifier(namespaces.folder).subject(found["replica.token"].decode())
    assert (subject.team, subject.roles) == ("revenue", ("replica",))
    assert {"jwt.pem", "signing.pem"} <= set(secret(api, LAB))


def test_a_namespace_of_somebody_elses_is_neither_taken_nor_deleted(api: Stored, namespaces: Namespaces) -> None:
    path = f"/api/v1/namespaces/{LAB}-revenue"
    api.held[path] = existing(f"{LAB}-revenue")
    with pytest.raises(ConflictError, match=f"{LAB}-revenue already"):
        namespaces.make(PLAN)
    assert api.namespaces == {f"{LAB}-revenue"}, "nothing was begun"
    namespaces.delete_teams()
    assert path in api.held


def test_a_lab_called_like_anothers_team_is_refused(api: Stored, namespaces: Namespaces) -> None:
    api.held[f"/api/v1/namespaces/{LAB}"] = existing(LAB, **{"archlab.dev/lab": "other"})
    with pytest.raises(ConflictError, match="of lab other"):
        namespaces.make_own()


class Somewhere(KubeTarget):
    """A target whose cluster is a dictionary."""

    api = Stored()

    @property
    def _api(self) -> Stored:
        return self.api


def test_a_lab_that_was_refused_its_namespace_takes_nothing_of_the_others_away(
    api: Stored, namespaces: Namespaces
) -> None:
    """Lab `lab-revenue` meets the namespace of team revenue of lab `lab`."""
    namespaces.make(PLAN)
    name = f"{LAB}-revenue"
    pod = f"/api/v1/namespaces/{name}/pods/one"
    api.held[pod] = {"kind": "Pod", "metadata": {"name": "one"}}
    place = KubePlace(kubeconfig="", namespace=name, image="archlab:1", serving_image="archlab-serving:1")
    folder = LabFolder(namespaces.folder.root.with_name(name))
    identity.create_keys(folder)
    refused = Somewhere(folder, place)
    refused.api = api
    with pytest.raises(ConflictError, match="of lab lab"):
        refused.run(Job(name="train", module="archlab.pipelines.train"), lambda _event: None)
    refused.destroy()
    refused.purge()
    assert {name, LAB} <= api.namespaces
    assert pod in api.held


def test_of_two_labs_of_one_name_the_second_is_refused_and_takes_nothing_away(
    api: Stored, namespaces: Namespaces, tmp_path: Path
) -> None:
    """Two people on one cluster, both with `archlab up five-teams`."""
    namespaces.make(PLAN)
    before = dict(api.held)
    theirs = LabFolder(tmp_path / "somebody-else" / LAB)
    identity.create_keys(theirs)
    write_model(theirs.scenario, SCENARIO)
    second = Namespaces(api, LAB, theirs)
    for make in (second.make_own, lambda: second.make(PLAN)):
        with pytest.raises(ConflictError, match="of another lab called lab") as refused:
            make()
        assert "--lab NAME" in refused.value.remedy
    assert not second.is_own()
    assert second.delete_teams() == second.delete_own() == []
    assert api.held == before
    namespaces.make(PLAN)
    assert namespaces.delete_own() == [LAB]


def test_a_lab_without_keys_holds_nothing(api: Stored, namespaces: Namespaces, tmp_path: Path) -> None:
    namespaces.make_own()
    nobody = Namespaces(api, LAB, LabFolder(tmp_path / "lost" / LAB))
    assert not nobody.is_own()


def test_a_namespace_made_before_namespaces_named_their_holder_is_taken(api: Stored, namespaces: Namespaces) -> None:
    namespaces.make(PLAN)
    for body in api.held.values():
        body["metadata"].pop("annotations", None)
    assert namespaces.is_own()
    namespaces.make(PLAN)
    assert all("annotations" in b["metadata"] for b in api.held.values() if b["kind"] == "Namespace")


def test_a_purge_of_what_was_never_made_is_harmless(api: Stored, namespaces: Namespaces) -> None:
    assert namespaces.delete_own() == []
    api.held[f"/api/v1/namespaces/{LAB}"] = existing(LAB)
    assert namespaces.delete_own() == []
    assert api.namespaces == {LAB}, "somebody made it, and this lab never took it"


def test_a_name_too_long_is_said_before_anything_is_made(api: Stored, namespaces: Namespaces) -> None:
    long = Namespaces(api, "l" * 60, namespaces.folder)
    with pytest.raises(UserError, match="takes 63"):
        long.make(PLAN)
    assert api.held == {}


def test_who_has_nothing_to_itself_any_longer_loses_its_namespace_and_no_other(
    api: Stored, namespaces: Namespaces
) -> None:
    namespaces.make(PLAN)
    left = PLAN.model_copy(update={"tenants": PLAN.tenants[1:]})
    namespaces.prune(left)
    assert api.namespaces == {LAB, *TEAMS} - {f"{LAB}-{PLAN.tenants[0].team}"}


def test_what_a_half_made_lab_has_goes_without_a_plan_and_twice_is_harmless(
    api: Stored, namespaces: Namespaces
) -> None:
    namespaces.make(Plan.model_validate(PLAN.model_dump() | {"tenants": PLAN.tenants[:2]}))
    for _ in range(2):
        namespaces.delete_teams()
        assert api.namespaces == {LAB}
    namespaces.delete_own()
    assert api.held == {}
