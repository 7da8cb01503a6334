"""A handle on one lab: where it is, what it should be, and how to talk to it."""

from __future__ import annotations

import importlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from archlab import identity
from archlab.errors import LabStateError, NotFoundError, SpecError, UserError
from archlab.lab.client import GatewayClient
from archlab.settings import LabFolder, home
from archlab.spec.lab import LabIdentity
from archlab.spec.plan import Endpoints, Plan
from archlab.spec.scenario import Overrides, Scenario, User, Variant

if TYPE_CHECKING:
    from archlab.spec.business import Business
    from archlab.targets.base import Target


T = TypeVar("T", bound=BaseModel)


def lab_names() -> list[str]:
    """Labs that have a folder here."""
    root = home()
    return sorted(p.parent.name for p in root.glob("*/lab.json")) if root.is_dir() else []


def open_lab(name: str | None = None) -> Lab:
    """The named lab; without a name ARCHLAB_LAB_NAME, the only lab, or the one used last.

    Raises:
        NotFoundError: no such lab, or none at all.
    """
    names = lab_names()
    chosen = name or os.environ.get("ARCHLAB_LAB_NAME") or _last_used(names) or (names[0] if len(names) == 1 else None)
    if chosen is None:
        if names:
            raise UserError(f"There are several labs: {', '.join(names)}.", "Name one with --lab.")
        raise NotFoundError("There is no lab here yet.", "Make one with: archlab up ten-models")
    if chosen not in names:
        known = f" Labs here: {', '.join(names)}." if names else ""
        raise NotFoundError(
            f"There is no lab called {chosen!r} in {home()}.{known}", "Make one with: archlab up SCENARIO"
        )
    return Lab(LabFolder.of(chosen))


def remember(name: str) -> None:
    """Make a lab the one that commands without --lab mean."""
    (home() / "current").write_text(name + "\n")


def _last_used(names: list[str]) -> str | None:
    try:
        name = (home() / "current").read_text().strip()
    except OSError:
        return None
    return name if name in names else None


def read(kind: type[T], path: Path) -> T:
    """A spec from its JSON file.

    Raises:
        LabStateError: the file is missing or damaged.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise LabStateError(f"{path} is missing: the lab is half made.", "Repair it with: archlab up") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise SpecError(
            f"{path} can't be read: {place}: {first['msg']}.", "Make the lab again: archlab down --purge, archlab up"
        ) from None


class Lab:
    """One lab. Reads what can change when asked, so that it never shows stale state; the scenario's content once."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """Name of the lab."""
        return self.folder.name

    @property
    def identity(self) -> LabIdentity:
        """lab.json."""
        return read(LabIdentity, self.folder.identity)

    @property
    def scenario(self) -> Scenario:
        """The scenario as resolved for the seed, with the learner's overrides."""
        from archlab.plan.resolve import override

        return override(self.resolved, self.overrides)

    @cached_property
    def resolved(self) -> Scenario:
        """The scenario for this lab's seed, before overrides."""
        from archlab.plan.resolve import resolve

        return resolve(self.declared, self.identity.seed)[0]

    @cached_property
    def declared(self) -> Scenario:
        """scenario.yaml as written."""
        from archlab.plan.loading import load_scenario

        return load_scenario(self.content / "scenario.yaml")

    @property
    def variant(self) -> Variant:
        """What the seed decided."""
        from archlab.plan.resolve import resolve

        return resolve(self.declared, self.identity.seed)[1]

    @property
    def overrides(self) -> Overrides:
        """What the learner changed."""
        return read(Overrides, self.folder.overrides) if self.folder.overrides.exists() else Overrides()

    @property
    def plan(self) -> Plan:
        """The plan last applied."""
        return read(Plan, self.folder.plan)

    @cached_property
    def content(self) -> Path:
        """Folder of the scenario's content."""
        from archlab.plan.loading import scenario_folder

        return scenario_folder(self.identity.scenario)

    @cached_property
    def business(self) -> Business:
        """Data, cards and callers of the scenario's business (imports DuckDB and numpy)."""
        module = importlib.import_module(f"archlab_scenarios.{self.declared.business}.business")
        made: Business = module.BUSINESS
        return made

    @property
    def endpoints(self) -> Endpoints:
        """Where the gateway answers."""
        return self.target.endpoints()

    @cached_property
    def target(self) -> Target:
        """What carries the plan out."""
        identity = self.identity
        if identity.kube:
            from archlab.targets.kube.target import KubeTarget

            return KubeTarget(self.folder, identity.kube)
        from archlab.targets.local import LocalTarget

        return LocalTarget(self.folder, port=identity.gateway_port)

    def user(self, name: str | None = None) -> User:
        """A user of the scenario; the learner by default.

        Raises:
            NotFoundError: nobody of that name.
        """
        scenario = self.declared
        wanted = name or scenario.learner
        if wanted == identity.PLATFORM.name:
            return identity.PLATFORM
        try:
            return scenario.user(wanted)
        except KeyError:
            known = ", ".join(u.name for u in scenario.users)
            raise NotFoundError(f"This lab has no user {wanted!r}.", f"Its users: {known}.") from None

    def token(self, name: str | None = None) -> str:
        """A fresh token for a user; the header file for curl is renewed beside it."""
        user = self.user(name)
        identity.write_header_file(self.folder, user)
        return identity.mint(self.folder, user)

    def client(self, path: str = "", user: str | None = None) -> GatewayClient:
        """Calls through the gateway, below a path, as a user."""
        subject = self.user(user)
        return GatewayClient(self.endpoints.gateway + path, lambda: identity.mint(self.folder, subject), self.name)

    @property
    def control(self) -> GatewayClient:
        """Control's API, as the learner."""
        return self.client("/control")

    @property
    def recorder(self) -> GatewayClient:
        """Control's API, as the platform, whose reports control believes."""
        return self.client("/control", identity.PLATFORM.name)

    def registry(self, user: str | None = None) -> GatewayClient:
        """MLflow's REST API, as a user."""
        return self.client("/mlflow/api/2.0/mlflow", user)
