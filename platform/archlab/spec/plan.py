"""A plan: units, routes and placements, laid out from a scenario; and what a target reports back."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from .autoscaling import Autoscaling, Scaling
from .base import Slug, Spec
from .devices import DevicePlan
from .regions import RegionsPlan


class Role(StrEnum):
    """What a unit does."""

    GATEWAY = "gateway"
    REGISTRY = "registry"
    CONTROL = "control"
    SERVER = "server"
    DATABASE = "database"
    LINK = "link"
    """The line over which a region reaches the other one."""
    STORE = "store"
    """A region's files: hands them out, and takes what the other region has."""
    WATCH = "watch"
    """Fails over by itself."""


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
    region: str = ""
    """Empty: outside of all regions, or of a lab that has none."""


class Elsewhere(Spec):
    """Replicas in another region that answer the same requests."""

    unit: Slug
    replicas: int
    priority: Literal[0, 1]
    """0: asked like the others; 1: asked when too few of the others answer."""


class Backend(Spec):
    """Where a share of a model's traffic goes."""

    unit: Slug
    replicas: int
    """The first N replicas of the unit carry the model."""
    elsewhere: tuple[Elsewhere, ...] = ()
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
    callers: tuple[Slug, ...] | None = None
    """Teams that may ask; None in plans of before: whoever has a token."""

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
    part: Literal["model", "server"] = "model"
    """`server`: the model's part of what the pool's servers themselves hold."""


class Tenant(Spec):
    """A team that has something to itself, and what it may hold of it at most: on a cluster a namespace."""

    team: Slug
    members: dict[Slug, tuple[Slug, ...]] = {}
    """Roles of its users."""
    replicas: int | None = Field(default=None, ge=0)
    """Servers that its quota of memory lets it have; None sets no limit."""
    devices: int | None = Field(default=None, ge=0)
    """Cards or slices that they may hold; None sets no limit."""


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
    shares: dict[Slug, dict[Slug, int]] = {}
    """Requests that a replica answers at once, by pool and team; a team that is not named has no share to keep to."""
    devices: DevicePlan | None = None
    """None where the scenario declares no devices."""
    regions: RegionsPlan | None = None
    """None where the scenario has no regions."""
    tenants: tuple[Tenant, ...] = ()
    """Teams with a quota of memory or devices, or with a pool of their own."""

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
    region: str = ""


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
