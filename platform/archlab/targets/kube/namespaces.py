"""The namespaces of a lab: its own, and one for each team that has something to itself; with the keys needed there."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from archlab import identity
from archlab.errors import ConflictError, NotFoundError, TargetError
from archlab.files import file_sha256
from archlab.settings import LabFolder
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.plan import Plan
from archlab.spec.scenario import Scenario, User
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.tenants import namespace
from archlab.targets.kube.values import KEYS_SECRET

KEYS = ("jwt.pem", "jwks.json", "release.pem", "release.pub.pem", "signing.pem", "trusted.pem")
PUBLIC_KEYS = ("release.pub.pem", "trusted.pem")
"""What servers check releases with: all that a team's namespace holds."""
REPLICA = "replica"
"""Whom pods speak as, and by which role, when they ask control for their files."""
REPLICA_LIFETIME_S = 30 * 24 * 3600
SECURITY = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
LAB, OURS = "archlab.dev/lab", ("app.kubernetes.io/managed-by", "archlab")
HOLDER = "archlab.dev/holder"
"""Annotation: which of all labs of that name, on whatever machine, has the namespace."""
GONE_S = 90.0
PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Those of one lab."""

    api: Api
    own: str
    """Where gateway, registry, control, shared pools and jobs are."""
    folder: LabFolder

    def of(self, plan: Plan | None) -> tuple[str, ...]:
        """The lab's and those of the plan's teams; the lab's alone without a plan.

        Raises:
            UserError: a name would be too long.
        """
        tenants = plan.tenants if plan else ()
        return (self.own, *(namespace(self.own, tenant.team) for tenant in tenants))

    def make_own(self) -> None:
        """The lab's, with all of its keys.

        Raises:
            ConflictError: it is another lab's, maybe one of the same name on another machine.
        """
        self._make(self.own, PLATFORM_TEAM, KEYS)

    def make(self, plan: Plan) -> None:
        """The lab's and those of its teams; these with keys to check with and a token of the team's.

        Raises:
            ConflictError: one of them is something else's.
            UserError: a name would be too long.
        """
        own, *teams = self.of(plan)
        self._check_lab(own)
        for name in teams:
            self._check_free(name)
        self.make_own()
        for tenant in plan.tenants:
            self._make(namespace(self.own, tenant.team), tenant.team, PUBLIC_KEYS)

    def prune(self, plan: Plan) -> None:
        """Delete those of teams that have nothing to themselves any longer, and wait until they are gone."""
        self.await_gone(self._delete([name for name in self._teams() if name not in self.of(plan)]))

    def delete_teams(self) -> list[str]:
        """Have those of teams deleted, whatever became of the lab's; nothing is stored in them. Their names."""
        return self._delete(self._teams())

    def is_own(self) -> bool:
        """Whether the lab's is there and this lab's: one that it was refused stays somebody else's."""
        found = self._get(self.own)
        return found is not None and self._is_ours(found)

    def delete_own(self) -> list[str]:
        """Have the lab's deleted, and with it what it stores. Its name; none where there is none of this lab's."""
        return self._delete([self.own] if self.is_own() else [])

    def await_gone(self, names: list[str]) -> None:
        """Return when these are gone.

        Raises:
            TargetError: one stays.
        """
        for name in names:
            until(partial(self._is_gone, name), f"namespace {name} does not go away", f"kubectl get all -n {name}")

    def _teams(self) -> list[str]:
        """Of all teams that the lab's scenario has, those that are there and this lab's."""
        try:
            scenario = Scenario.model_validate_json(self.folder.scenario.read_bytes())
        except OSError:
            return []
        names = (f"{self.own}-{team.name}" for team in scenario.teams if team.name != PLATFORM_TEAM)
        return [name for name in names if (found := self._get(name)) and self._is_ours(found)]

    def _make(self, name: str, team: str, keys: tuple[str, ...]) -> None:
        self._check_lab(name)
        labels = {"app.kubernetes.io/part-of": "archlab", LAB: self.folder.name, "archlab.dev/team": team, **SECURITY}
        metadata = {"name": name, "labels": labels | dict([OURS]), "annotations": {HOLDER: self._holder}}
        self.api.apply(f"/api/v1/namespaces/{name}", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.api.apply(self.api.inside("secrets", KEYS_SECRET, namespace=name), self._secret(team, keys))

    def _check_lab(self, name: str) -> None:
        """One of another lab's is nothing to take; nor of one that is called the same, on another machine."""
        found = self._get(name) or {"metadata": {}}
        held = found["metadata"].get("labels", {}).get(LAB, self.folder.name)
        if held != self.folder.name:
            raise ConflictError(
                f"The namespace {name} is one of lab {held}.", "Choose another name: archlab up --lab NAME"
            )
        if not self._is_held(found):
            raise ConflictError(
                f"The namespace {name} is of another lab called {held}: somebody else's, or one whose folder is gone.",
                f"Choose another name: archlab up --lab NAME. If it is yours: kubectl delete namespace {name}",
            )

    def _check_free(self, name: str) -> None:
        """A namespace that somebody made is nothing to take: it would go with the lab."""
        found = self._get(name)
        if found and not self._is_ours(found):
            raise ConflictError(
                f"There is a namespace {name} already, and it is not this lab's.",
                "A team's namespace is called <lab>-<team>. Choose another name: archlab up --lab NAME",
            )

    def _secret(self, team: str, keys: tuple[str, ...]) -> Object:
        """Keys and the pods' token; never in helm's values."""
        user = User(name=REPLICA, team=team, roles=(REPLICA,))
        token = identity.mint(self.folder, user, lifetime_s=REPLICA_LIFETIME_S)
        data = {name: (self.folder.keys / name).read_bytes() for name in keys} | {"replica.token": token.encode()}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEYS_SECRET, "labels": {LAB: self.folder.name}},
            "type": "Opaque",
            "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
        }

    def _is_ours(self, found: Object) -> bool:
        labels = found["metadata"].get("labels", {})
        named = (OURS[0], labels.get(OURS[0])) == OURS and labels.get(LAB) == self.folder.name
        return named and self._is_held(found)

    def _is_held(self, found: Object) -> bool:
        """Whether no other lab of the same name has it."""
        return bool(found["metadata"].get("annotations", {}).get(HOLDER, self._holder) == self._holder)

    @property
    def _holder(self) -> str:
        """By its public key, which no other lab has; one without a key holds nothing."""
        try:
            return file_sha256(self.folder.keys / "release.pub.pem")
        except FileNotFoundError:
            return ""

    def _get(self, name: str) -> Object | None:
        try:
            return self.api.get(f"/api/v1/namespaces/{name}")
        except NotFoundError:
            return None

    def _delete(self, names: list[str]) -> list[str]:
        for name in names:
            self.api.delete(f"/api/v1/namespaces/{name}")
        return names

    def _is_gone(self, name: str) -> bool:
        return not self.api.exists(f"/api/v1/namespaces/{name}")


def until(condition: Callable[[], bool], failure: str, see: str) -> None:
    """Wait for what takes the cluster a moment.

    Raises:
        TargetError: it does not come.
    """
    deadline = time.monotonic() + GONE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TargetError(f"After {GONE_S:g} s {failure}.", f"See: {see}")
        time.sleep(PAUSE_S)
