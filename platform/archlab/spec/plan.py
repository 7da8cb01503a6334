"""A plan: units, routes and placements, laid out from a scenario; and what a target reports back."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from .autoscaling import Autoscaling, Scaling
from .base import Slug, Spec
from .devices import DevicePlan


class Role(StrEnum):
    """What a unit does."""

    GATEWAY = "gateway"
    REGISTRY = "registry"
    CONTROL = "control"
    SERVER = "server"


class Unit(Spec):
    """Something that runs: one or more identical replicas."""

    name: Slug
    role: Role
    replicas: int = Field(ge=1)
    pool: str = ""
    runtime: str = ""
    serves: str = ""
    team: str = "platform"
    autoscaling: Autoscaling | None = None
    """`replicas` is the least then."""


class Backend(Spec):
    """Where a share of a model's traffic goes."""

    unit: Slug
    replicas: int
    """The first N replicas of the unit carry the model."""
    weight: int = Field(ge=0, le=100)
    version: str = ""
    """Version that the gateway pins by header; empty lets the server take its champion."""


class Shadow(Spec):
    """Copies of a share of a model's requests; nobody waits for their answers."""

    unit: Slug
    replicas: int
    percent: int = Field(ge=1, le=100)
    version: str
    """Version that answers the copies, whichever answers the originals."""


class Route(Spec):
    """How requests for one model leave the gateway."""

    model: Slug
    team: Slug
    backends: tuple[Backend, ...]
    shadow: Shadow | None = None

    @property
    def versions(self) -> frozenset[str]:
        """Versions that the gateway names: servers must keep them loaded."""
        named = {backend.version for backend in self.backends if backend.version}
        return frozenset(named | ({self.shadow.version} if self.shadow else set()))


class Reservation(Spec):
    """Capacity that a model holds while it is online."""

    model: Slug
    team: Slug
    unit: Slug
    replicas: int
    cpu_millicores: int
    """Per replica."""
    memory_bytes: int


class Plan(Spec):
    """Everything a target needs to carry out; pure function of scenario, variant and overrides."""

    format: Literal["archlab/plan/v1"] = "archlab/plan/v1"
    lab: Slug
    scenario: Slug
    seed: int
    units: tuple[Unit, ...]
    routes: tuple[Route, ...]
    reservations: tuple[Reservation, ...]
    limits: dict[Slug, int] = {}
    """Requests per second that the gateway lets through, per team; a team that is not named has no limit."""
    devices: DevicePlan | None = None
    """None where the scenario declares no devices."""

    def unit(self, name: str) -> Unit:
        """The unit of that name; KeyError otherwise."""
        for unit in self.units:
            if unit.name == name:
                return unit
        raise KeyError(name)


class ReplicaState(StrEnum):
    """Where a replica stands."""

    STARTING = "starting"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"


class Replica(Spec):
    """One replica as it is."""

    unit: str
    index: int
    state: ReplicaState
    team: str
    pid: int | None
    restarts: int
    cpu_percent: float
    rss_bytes: int
    detail: str = ""


class Observation(Spec):
    """What a target sees of a lab right now."""

    replicas: tuple[Replica, ...]
    scaling: tuple[Scaling, ...] = ()
    """Of units whose replicas follow load."""


class Endpoints(Spec):
    """How to reach a lab from outside."""

    gateway: str
    """Base URL, e.g. http://127.0.0.1:8080."""

    @property
    def registry(self) -> str:
        """MLflow's tracking URI."""
        return f"{self.gateway}/mlflow"


Progress = Callable[[str, str], None]
"""Called with (step, detail) while a long operation moves on."""
