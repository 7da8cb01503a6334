"""The world that a scenario declares: teams, models, pools, prices, and what the learner's seed varies."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from .access import PLATFORM_TEAM, Grant, RestrictedView
from .autoscaling import Autoscaling
from .base import Slug, Spec, UtcTime
from .callers import Caller, Slo
from .candidates import Candidate
from .devices import DeclaredDevice, DeviceNeed, Wanted
from .money import PriceBook, Purchase, Resource
from .regions import Regions, RegionsOverride
from .tampering import Audit, Tampering
from .tenancy import Isolation, Quotas


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
    """The gateway's limit for this team's callers, where `isolation` is `limit`."""
    isolation: Isolation = Isolation.LIMIT
    """What keeps its callers from taking what others need."""
    weight: int = Field(default=1, ge=1, le=100)
    """Of its share of a pool's places, where `isolation` is `share`."""
    quotas: Quotas = Quotas()
    budget_usd: int | None = Field(default=None, gt=0)
    """For 30 days of the business clock; None is what the rule cost/within_budget says."""


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
    batch_purchase: Literal[Purchase.ON_DEMAND, Purchase.SPOT] = Purchase.ON_DEMAND
    """How the cores of its batch runs are bought."""
    caller: Caller
    slo: Slo


class Pool(Spec):
    """Identical servers. `runtime` is what packages them."""

    name: Slug
    runtime: Literal["uvicorn", "bento"] = "uvicorn"
    min_replicas: int = Field(default=1, ge=1)
    serves: Literal["onnx", "table"] = "onnx"
    base_millicores: int = Field(default=0, ge=0)
    """Held by each replica beyond what its models reserve: the server itself. Split among the models that it serves."""
    places: int = Field(default=16, ge=1)
    """Requests of teams with a share that a replica answers at once."""
    purchase: Purchase = Purchase.ON_DEMAND
    """How what its models reserve is bought."""
    commitment: str = ""
    """Of a pool that is bought as reserved: the commitment in the price book that it draws on."""


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
    borrow_quotas: bool = False
    """Whether a team may take of a quota what others leave of theirs; money is never borrowed."""
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
    audits: tuple[Audit, ...] = ()
    """When heads of the decision log were kept outside the lab, before anybody tampered with it."""
    tampering: tuple[Tampering, ...] = ()
    """What was done to records and files by hand once all that was there, in this order; at most one record."""
    features: tuple[FeatureSchedule, ...]
    views: tuple[RestrictedView, ...] = ()
    """Feature views that are not for every team."""
    grants: tuple[Grant, ...] = ()
    """What teams may use of each other's."""
    platform_millicores: int = Field(ge=0)
    """Cores that registry, gateway and control hold all the time; shared cost."""
    prices: PriceBook
    devices: tuple[DeclaredDevice, ...] = ()
    device_apart: tuple[tuple[Slug, ...], ...] = ()
    """Groups of teams of which no two share a device."""
    regions: Regions | None = None
    """None: everything runs in one place."""
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
    def _tampering(self) -> Scenario:
        models, candidates = {m.name for m in self.models}, {c.name: c.model for c in self.candidates}
        users = {u.name for u in self.users}
        for deed in self.tampering:
            model = candidates.get(deed.candidate, "") if deed.candidate else deed.model
            if deed.kind != "event" and (model not in models or deed.model not in ("", model)):
                about = f"{deed.model} {deed.candidate}".strip()
                raise ValueError(f"tampering {deed.name} is about {about}, which is not declared so")
            if unknown := sorted({deed.approver, deed.asker} - users - {""}):
                raise ValueError(f"tampering {deed.name} names {unknown[0]!r}, who is not declared")
        for what, names in (("deeds", [d.name for d in self.tampering]), ("audits", [a.name for a in self.audits])):
            if len(set(names)) != len(names):
                raise ValueError(f"two {what} share a name")
        if sum(deed.kind == "record" for deed in self.tampering) > 1:
            raise ValueError("one record of the log can be tampered with, not more")
        return self

    @model_validator(mode="after")
    def _access(self) -> Scenario:
        teams, models = {t.name for t in self.teams}, {m.name for m in self.models}
        restricted = {v.view: v.owner for v in self.views}
        if len(restricted) != len(self.views):
            raise ValueError("two of `views` are the same")
        for view, owner in restricted.items():
            if owner not in teams:
                raise ValueError(f"view {view} belongs to team {owner!r}, which is not declared")
        for grant in self.grants:
            if grant.team not in teams:
                raise ValueError(f"a grant names team {grant.team!r}, which is not declared")
            if grant.model and grant.model not in models:
                raise ValueError(f"a grant names model {grant.model!r}, which is not declared")
            if grant.view and grant.view not in restricted:
                raise ValueError(f"a grant names {grant.view!r}, which is not among the restricted `views`")
        return self

    @model_validator(mode="after")
    def _purchases(self) -> Scenario:
        commitments = {c.name for c in self.prices.commitments}
        for pool in self.pools:
            if (pool.purchase is Purchase.RESERVED) is not bool(pool.commitment):
                raise ValueError(f"pool {pool.name} is bought as reserved or names a commitment, but not both")
            if pool.commitment and pool.commitment not in commitments:
                raise ValueError(f"pool {pool.name} draws on commitment {pool.commitment!r}, which is not declared")
        held = {Resource.DEVICE_SLICE if d.slices else Resource.DEVICE for d in self.devices} | {Resource.ONLINE_CPU}
        wanted = {(resource, p.purchase) for p in self.pools if p.serves == "onnx" for resource in held}
        wanted |= {(Resource.BATCH_CPU, m.batch_purchase) for m in self.models}
        for resource, purchase in sorted(wanted):
            if purchase is Purchase.SPOT and self.prices.known(resource, self.starts, purchase) is None:
                raise ValueError(f"{resource} is bought as {purchase}, and has no price for it")
        for made in self.prices.commitments:
            if made.team not in {PLATFORM_TEAM, *(t.name for t in self.teams)}:
                raise ValueError(f"commitment {made.name} belongs to team {made.team!r}, which is not declared")
        return self

    @model_validator(mode="after")
    def _devices(self) -> Scenario:
        names = [d.name for d in self.devices]
        if len(set(names)) != len(names):
            raise ValueError("two devices share a name")
        for team in (team for group in self.device_apart for team in group):
            if team not in {t.name for t in self.teams}:
                raise ValueError(f"device_apart names team {team!r}, which is not declared")
        priced = {p.resource for p in self.prices.prices if p.purchase is Purchase.ON_DEMAND}
        for resource, split in ((Resource.DEVICE, False), (Resource.DEVICE_SLICE, True)):
            classes = sorted({d.device_class for d in self.devices if bool(d.slices) is split})
            if len(classes) > 1:
                raise ValueError(
                    f"{' and '.join(classes)} can't both be priced as {resource}: there is one price of it"
                )
            if classes and resource not in priced:
                raise ValueError(f"{classes[0]} has no price: {resource} is missing among the prices")
        return self

    @model_validator(mode="after")
    def _regions(self) -> Scenario:
        if self.regions is None:
            return self
        if unknown := sorted(self.regions.models.keys() - {m.name for m in self.models}):
            raise ValueError(f"regions give {unknown[0]!r} a tier, which is not declared")
        for what, given in (("devices", self.devices), ("tampering", self.tampering)):
            if given:
                raise ValueError(f"a lab in two regions has no {what}")
        return self

    def model(self, name: str) -> Model:
        """The model of that name; KeyError otherwise."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)

    def team(self, name: str) -> Team:
        """The team of that name; KeyError otherwise."""
        for team in self.teams:
            if team.name == name:
                return team
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


class TeamOverride(Spec):
    """What the learner changed of one team; None means as declared."""

    isolation: Isolation | None = None
    requests_per_second: int | None = Field(default=None, gt=0)
    weight: int | None = Field(default=None, ge=1, le=100)
    devices: int | None = Field(default=None, ge=0)
    memory_bytes: int | None = Field(default=None, ge=0)
    requests_per_day: int | None = Field(default=None, ge=0)
    budget_usd: int | None = Field(default=None, gt=0)


class Overrides(Spec):
    """The learner's desired state, kept in the lab's folder."""

    format: Literal["archlab/overrides/v1"] = "archlab/overrides/v1"
    models: dict[str, ModelOverride] = {}
    teams: dict[Slug, TeamOverride] = {}
    borrow_quotas: bool | None = None
    granted: tuple[Grant, ...] = ()
    """Beside those that the scenario declares."""
    revoked: tuple[Grant, ...] = ()
    """Of those that the scenario declares."""
    feature_every: dict[str, timedelta] = {}
    autoscale: dict[Slug, Autoscaling] | None = None
    """By pool; only labs on a cluster carry it out."""
    regions: RegionsOverride | None = None
