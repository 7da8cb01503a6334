"""Two regions of one lab: how the second is prepared, by tier, and where the pair stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from .base import Slug, Spec, UtcTime
from .drill_kinds import CHECK_EVERY_MS, FAILURES_TO_DETECT, LATENCY_MS, Replication


class Tier(StrEnum):
    """How much something is worth when a region is lost."""

    CRITICAL = "critical"
    IMPORTANT = "important"
    BEST_EFFORT = "best-effort"


class Standby(StrEnum):
    """What the second region holds beforehand. Each holds what the one before it does, and more."""

    BACKUP_ONLY = "backup-only"
    """Nothing; what is stored is kept in an archive outside both regions."""
    PILOT_LIGHT = "pilot-light"
    """A database that follows; everything else is started when it is needed."""
    WARM_STANDBY = "warm-standby"
    """Everything, scaled down to one replica; asked when the first region does not answer."""
    ACTIVE_ACTIVE = "active-active"
    """All of it, and asked all the time. What is written still has one writer: the primary."""

    @property
    def runs(self) -> bool:
        """Whether servers run in the second region beforehand."""
        return self in (Standby.WARM_STANDBY, Standby.ACTIVE_ACTIVE)


class Promotion(StrEnum):
    """Who decides that the second region takes over."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Part(StrEnum):
    """What a platform keeps beside its models' servers."""

    REGISTRY = "registry"
    ARTIFACTS = "artifacts"
    FEATURES = "features"
    LEDGER = "ledger"
    POLICY = "policy"


FILES = (Part.ARTIFACTS, Part.FEATURES, Part.LEDGER, Part.POLICY)
"""Parts that are files: they are copied from region to region. The registry's database replicates itself."""


class TierPosture(Spec):
    """How a tier is prepared for the loss of a region."""

    posture: Standby = Standby.WARM_STANDBY
    replication: Replication = Replication.SYNCHRONOUS
    """Of what is written: whether a write counts before the second region has it."""
    backup_every_s: int = Field(default=30, ge=1, le=86_400)
    """Seconds of this machine between two copies: of the log's archive, of files that are replicated by copying."""
    backup_keep: int = Field(default=7, ge=1, le=365)
    """How many backups are kept, and paid for."""
    check_every_ms: int = Field(default=CHECK_EVERY_MS, ge=20, le=60_000)
    failures_to_detect: int = Field(default=FAILURES_TO_DETECT, ge=1, le=100)
    """Consecutive failed checks until something counts as lost."""
    promotion: Promotion = Promotion.MANUAL

    @property
    def detection_ms(self) -> int:
        """How long an outage goes unnoticed at most, not counting the time a check itself takes."""
        return self.check_every_ms * self.failures_to_detect


class PostureChange(Spec):
    """What a learner changed of a tier; None means as declared."""

    posture: Standby | None = None
    replication: Replication | None = None
    backup_every_s: int | None = Field(default=None, ge=1, le=86_400)
    backup_keep: int | None = Field(default=None, ge=1, le=365)
    check_every_ms: int | None = Field(default=None, ge=20, le=60_000)
    failures_to_detect: int | None = Field(default=None, ge=1, le=100)
    promotion: Promotion | None = None


class Regions(Spec):
    """A pair of regions."""

    names: tuple[Slug, Slug]
    """The first is where everything runs until it is lost."""
    latency_ms: float = Field(default=LATENCY_MS, ge=0, le=1_000)
    """One way, between the regions."""
    bytes_per_s: int | None = Field(default=None, ge=1_000)
    """Of the line between the regions, each way; None: as fast as the machine."""
    tiers: dict[Tier, TierPosture]
    parts: dict[Part, Tier]
    models: dict[Slug, Tier] = {}
    """Of models that are not named here nobody would miss the answers: best effort."""
    millicores: dict[Part, int] = {}
    """Cores that a part holds in the second region while it runs there."""
    database_millicores: int = Field(default=250, ge=0)
    """Cores that a database which follows holds in the second region."""
    state_mib: int = Field(default=1024, ge=0)
    """Modelled size of what one backup keeps."""
    decision_s: int = Field(default=300, ge=0)
    """How long people take to decide where promotion is manual; modelled."""

    @model_validator(mode="after")
    def _complete(self) -> Regions:
        if self.names[0] == self.names[1]:
            raise ValueError(f"both regions are called {self.names[0]}")
        for what, known, given in (("tier", Tier, self.tiers), ("part", Part, self.parts)):
            if missing := sorted({one.value for one in known} - {one.value for one in given}):
                raise ValueError(f"{what} {missing[0]} is missing")
        return self

    def of(self, part: Part) -> TierPosture:
        """How a part is prepared."""
        return self.tiers[self.parts[part]]

    def tier(self, model: str) -> Tier:
        """A model's tier."""
        return self.models.get(model, Tier.BEST_EFFORT)

    def of_model(self, model: str) -> TierPosture:
        """How a model's servers are prepared."""
        return self.tiers[self.tier(model)]

    def other(self, name: str) -> str:
        """The region that is not this one."""
        return self.names[1] if name == self.names[0] else self.names[0]


class RegionsOverride(Spec):
    """What a learner changed of a pair of regions."""

    tiers: dict[Tier, PostureChange] = {}
    parts: dict[Part, Tier] = {}
    models: dict[Slug, Tier] = {}


class RegionState(Spec):
    """Where a pair stands: made by runbooks, kept in the lab's folder."""

    primary: Slug
    """The region whose database takes writes."""
    lost: tuple[Slug, ...] = ()
    """Regions that are fenced: nothing runs there until they rejoin."""
    synchronous: bool = False
    """Whether right now no write counts before the other region has it."""
    raised: Slug | None = None
    """The second region, while it is about to take over in order: everything runs there beforehand."""


class Detection(Spec):
    """How an outage is noticed."""

    check_every_ms: int
    failures_to_detect: int


class Held(Spec):
    """Cores that something of the platform holds in the second region, used or not."""

    name: Slug
    region: Slug
    millicores: int = Field(ge=0)


class Copying(Spec):
    """How a part's files get to the second region."""

    part: Part
    posture: Standby
    every_s: int
    """Seconds of this machine between two copies, where they are not made at once."""
    keep: int
    """Archives that are kept, where there is no second copy."""

    @property
    def at_once(self) -> bool:
        """Whether the second region follows every change."""
        return self.posture.runs

    @property
    def archived(self) -> bool:
        """Whether copies go into an archive outside both regions, and to no region."""
        return self.posture is Standby.BACKUP_ONLY


class RegionsPlan(Spec):
    """What a target carries out of a pair of regions."""

    names: tuple[Slug, Slug]
    primary: Slug
    lost: tuple[Slug, ...] = ()
    raised: Slug | None = None
    """The other region, while it is about to become primary."""
    database: Standby
    """How the database behind the registry is prepared."""
    replication: Replication
    """Of that database."""
    archive_every_s: int
    """Of its log, where it has no standby."""
    backup_keep: int = 7
    """How many base backups of it are kept there."""
    latency_ms: float
    bytes_per_s: int | None
    registry: Detection
    servers: Detection
    copies: tuple[Copying, ...] = ()
    """Of parts that are files."""
    held: tuple[Held, ...] = ()
    backups_kib: int = 0
    """Of backups that are kept; modelled."""

    @property
    def other(self) -> str:
        """The region that is not primary."""
        return self.names[1] if self.primary == self.names[0] else self.names[0]

    @property
    def follows(self) -> bool:
        """Whether the other region's database follows the primary's."""
        return self.other not in self.lost and (self.database is not Standby.BACKUP_ONLY or self.raised == self.other)


class PartCopy(Spec):
    """One part's files in a region, or in the archive, as whoever keeps them last saw them."""

    part: Part
    files: int = 0
    size_bytes: int = 0
    records: int = 0
    """Lines of what is a log: of the ledger, of the decision log."""
    missing: int = 0
    """Files that the other region had and this one has not, when they were last compared."""
    copied_bytes: int = 0
    """All that was ever taken from the other region, or put into the archive."""
    complete_at: UtcTime | None = None
    """When it last had everything that the other region had."""
    lag_s: float = 0.0
    """From when a file was written until it was here: the longest of those that came last."""
    worst_lag_s: float = 0.0
    """The longest of all, not counting what was there before copying began."""
    error: str = ""
    """Why the last attempt failed."""


class RegionFiles(Spec):
    """What a region's store says of itself."""

    region: Slug
    here: tuple[PartCopy, ...] = ()
    """What lies in the region."""
    archive: tuple[PartCopy, ...] = ()
    """What this region put into the archive outside both."""

    def of(self, part: Part, *, archived: bool = False) -> PartCopy:
        """One part's; empty when nothing is known."""
        known = self.archive if archived else self.here
        return next((copy for copy in known if copy.part is part), PartCopy(part=part))


class Takeover(Spec):
    """A runbook that was carried out in a lab."""

    format: Literal["archlab/takeover/v1"] = "archlab/takeover/v1"
    runbook: Literal["failover to", "failback to", "isolate"]
    region: Slug
    began: UtcTime
    seconds: dict[str, float]
    """What each step took, in their order."""
    posture: Regions | None = None
    """How the pair was prepared."""
    ended: UtcTime | None = None
    accepted_loss: bool = False
    """Of a failover: whether it might go on although acknowledged writes could be missing."""
    by_itself: bool = False
    """Of a failover: nobody ordered it, the watch did."""
