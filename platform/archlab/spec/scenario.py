"""The world that a scenario declares: teams, models, callers, pools, prices, and what the learner's seed varies."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .autoscaling import Autoscaling
from .base import NanoUsd, Slug, Spec, UtcTime
from .candidates import Candidate
from .devices import DeclaredDevice, DeviceNeed, Wanted
from .money import PriceBook, Resource


class Mode(StrEnum):
    """How a model's answers come about: computed when asked, or beforehand by a job."""

    ONLINE = "online"
    BATCH = "batch"


class User(Spec):
    """Somebody (or a service account) with a token."""

    name: Slug
    team: Slug
    roles: tuple[Slug, ...]


class Team(Spec):
    """A business unit; owns models, pays for them."""

    name: Slug
    title: str
    requests_per_second: int = Field(default=2000, gt=0)
    """The gateway's limit for this team's callers."""


class ClassificationValue(Spec):
    """What an answer to a yes-or-no question is worth per real request. Positive means `prediction >= threshold`."""

    kind: Literal["classification"] = "classification"
    threshold: float
    true_positive: NanoUsd
    false_positive: NanoUsd
    true_negative: NanoUsd = 0
    false_negative: NanoUsd = 0
    late: NanoUsd = 0
    """Worth of an answer that came late, was stale, or never came."""


class EstimateValue(Spec):
    """What an estimate is worth per real request: right when within `tolerance` of what happened."""

    kind: Literal["estimate"] = "estimate"
    tolerance: float
    """In the unit of the label. One-sided (a quantile): right when actual <= prediction <= actual + tolerance."""
    one_sided: bool = False
    right: NanoUsd
    wrong: NanoUsd = 0
    late: NanoUsd = 0


Value = Annotated[ClassificationValue | EstimateValue, Field(discriminator="kind")]


class Caller(Spec):
    """Who asks a model, when, how often, with what deadline, and what the answer is worth."""

    name: str
    asks: Literal["flight-scheduled", "flight-departed", "origin-half-hourly", "tail-daily", "route-daily"]
    """The event that raises a request: a flight's schedule less `lead`, its pushback, a half hour at an airport, ..."""
    lead: timedelta = timedelta(hours=1)
    """For flight-scheduled: how long before scheduled departure."""
    at: timedelta | None = None
    """For daily callers: time of day (UTC) of the requests."""
    deadline_ms: int = Field(gt=0)
    max_age: timedelta
    """Oldest features (the snapshot behind the answer) that still count as fresh; older answers are stale."""
    represents: int = Field(gt=0)
    """How many real requests one replayed request stands for."""
    value: Value


class Slo(Spec):
    """What callers were promised."""

    p99_ms: int = Field(gt=0)
    availability: float = Field(gt=0, le=1)
    max_quality_loss: float | None = Field(default=None, gt=0)
    """How much worse than with the freshest features answers may be, in the card's measure."""
    peak_share: float | None = Field(default=None, gt=0)
    """Peak demand, as a share of this machine's calibrated requests per second."""


class Model(Spec):
    """One of the airline's models as it is deployed. How it is trained is in its card (archlab_scenarios.airline)."""

    name: Slug
    title: str
    team: Slug
    owner: Slug
    mode: Mode
    pool: Slug
    """Pool that serves it while it is online."""
    replicas: int = Field(default=2, ge=1, le=8)
    cpu_millicores: int = Field(gt=0)
    """Reserved per replica while online."""
    memory_bytes: int = Field(default=64 << 20, gt=0)
    device: DeviceNeed = DeviceNeed()
    batch_every: timedelta = timedelta(days=1)
    batch_at: timedelta = timedelta(hours=8)
    """Time of day (UTC) at which the day's batch run falls due; further runs follow every `batch_every`."""
    batch_cpu_millicore_seconds: int = Field(gt=0)
    """Modelled cost of one production-size batch run."""
    caller: Caller
    slo: Slo


class Pool(Spec):
    """Identical servers. `runtime` is what packages them."""

    name: Slug
    runtime: Literal["uvicorn", "bento"] = "uvicorn"
    min_replicas: int = Field(default=1, ge=1)
    serves: Literal["onnx", "table"] = "onnx"


class FeatureSchedule(Spec):
    """How often a feature view is materialised into the online store, and what one run costs."""

    view: str
    every: timedelta
    cpu_millicore_seconds: int = Field(ge=0)


class Variation(Spec):
    """One thing that the learner's seed decides.

    `path` names a field of the scenario: `models.NAME.caller.represents`, `prices.online_cpu`, ... Exactly one of
    `choices` is taken for a seed.
    """

    name: Slug
    path: str
    choices: tuple[float | int | str, ...] = Field(min_length=2)


class Scenario(Spec):
    """One file describes the world (scenario.yaml)."""

    format: Literal["archlab/scenario/v1"] = "archlab/scenario/v1"
    name: Slug
    title: str
    summary: str
    business: str = "airline"
    """Package of archlab_scenarios with the data, model cards and callers."""
    level: Literal["foundation", "professional", "expert"]
    minutes: int
    starts: UtcTime
    """The business clock at `up`."""
    tick: timedelta = timedelta(minutes=30)
    teams: tuple[Team, ...]
    users: tuple[User, ...]
    learner: Slug
    """User that the command line speaks as."""
    approver: Slug
    """The solo learner's second identity."""
    trainer: Slug
    """Service account of the pipelines."""
    pools: tuple[Pool, ...]
    models: tuple[Model, ...]
    candidates: tuple[Candidate, ...] = ()
    """Versions beyond each model's first that are in the registry when the lab starts, in the order of registration."""
    features: tuple[FeatureSchedule, ...]
    platform_millicores: int = Field(ge=0)
    """Cores that registry, gateway and control hold all the time; shared cost."""
    prices: PriceBook
    devices: tuple[DeclaredDevice, ...] = ()
    device_apart: tuple[tuple[Slug, ...], ...] = ()
    """Groups of teams of which no two share a device."""
    knobs: dict[Slug, float | int | str] = {}
    """What only content reads (which version misbehaves, which unit is stopped). Variations set them: `knobs.NAME`."""
    variations: tuple[Variation, ...] = ()

    @model_validator(mode="after")
    def _references(self) -> Scenario:
        teams = {t.name for t in self.teams}
        users = {u.name for u in self.users}
        pools = {p.name for p in self.pools}
        for model in self.models:
            if model.team not in teams:
                raise ValueError(f"model {model.name} belongs to team {model.team!r}, which is not declared")
            if model.pool not in pools:
                raise ValueError(f"model {model.name} runs in pool {model.pool!r}, which is not declared")
            if model.owner not in users:
                raise ValueError(f"model {model.name} is owned by {model.owner!r}, who is not declared")
        for role, name in (("learner", self.learner), ("approver", self.approver), ("trainer", self.trainer)):
            if name not in users:
                raise ValueError(f"{role} {name!r} is not among the users")
        for user in self.users:
            if user.team not in teams:
                raise ValueError(f"user {user.name} belongs to team {user.team!r}, which is not declared")
        if not any(p.serves == "table" for p in self.pools):
            raise ValueError("no pool serves tables: batch answers would have no way out")
        names = [m.name for m in self.models]
        if len(set(names)) != len(names):
            raise ValueError("two models share a name")
        return self

    @model_validator(mode="after")
    def _candidates(self) -> Scenario:
        users, models = {u.name for u in self.users}, {m.name for m in self.models}
        names = [c.name for c in self.candidates]
        if len(set(names)) != len(names):
            raise ValueError("two candidates share a name")
        for candidate in self.candidates:
            if candidate.model not in models:
                raise ValueError(f"candidate {candidate.name} is one of {candidate.model!r}, which is not declared")
            named = {candidate.registered_by, candidate.requested_by, candidate.approved_by} - {""}
            if unknown := sorted(named - users):
                raise ValueError(f"candidate {candidate.name} names {unknown[0]!r}, who is not declared")
            if candidate.amended_percent and not candidate.approved_by:
                raise ValueError(f"candidate {candidate.name} is amended after an approval that it does not have")
        return self

    @model_validator(mode="after")
    def _devices(self) -> Scenario:
        names = [d.name for d in self.devices]
        if len(set(names)) != len(names):
            raise ValueError("two devices share a name")
        for team in (team for group in self.device_apart for team in group):
            if team not in {t.name for t in self.teams}:
                raise ValueError(f"device_apart names team {team!r}, which is not declared")
        priced = {p.resource for p in self.prices.prices}
        for resource, split in ((Resource.DEVICE, False), (Resource.DEVICE_SLICE, True)):
            classes = sorted({d.device_class for d in self.devices if bool(d.slices) is split})
            if len(classes) > 1:
                raise ValueError(
                    f"{' and '.join(classes)} can't both be priced as {resource}: there is one price of it"
                )
            if classes and resource not in priced:
                raise ValueError(f"{classes[0]} has no price: {resource} is missing among the prices")
        return self

    def model(self, name: str) -> Model:
        """The model of that name; KeyError otherwise."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)

    def user(self, name: str) -> User:
        """The user of that name; KeyError otherwise."""
        for user in self.users:
            if user.name == name:
                return user
        raise KeyError(name)


class Variant(Spec):
    """What a seed decided: each variation's name and the chosen value."""

    seed: int
    chosen: dict[str, float | int | str]


class ModelOverride(Spec):
    """What the learner changed of one model; None means as declared."""

    mode: Mode | None = None
    replicas: int | None = Field(default=None, ge=1, le=8)
    batch_every: timedelta | None = None
    canary_percent: int | None = Field(default=None, ge=0, le=100)
    """Share of traffic for the version under alias `challenger`."""
    shadow_percent: int | None = Field(default=None, ge=0, le=100)
    """Share of requests of which the version under alias `challenger` gets a copy."""
    device: Wanted | None = None
    """`on`, `off`, a device class or a MIG profile."""


class Overrides(Spec):
    """The learner's desired state, kept in the lab's folder."""

    format: Literal["archlab/overrides/v1"] = "archlab/overrides/v1"
    models: dict[str, ModelOverride] = {}
    feature_every: dict[str, timedelta] = {}
    autoscale: dict[Slug, Autoscaling] | None = None
    """By pool; only labs on a cluster carry it out."""
