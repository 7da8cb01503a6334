"""What keeps teams on one platform apart, and how much each may take."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .base import Spec


class Isolation(StrEnum):
    """How a team's callers are kept from taking what others need; each costs something else."""

    NONE = "none"
    """Nothing: whoever asks most gets most."""
    LIMIT = "limit"
    """The gateway lets so many requests per second through; what a request costs it doesn't know."""
    SHARE = "share"
    """A server of the shared pool answers so many of the team's requests at once; the rest wait, then are refused."""
    POOL = "pool"
    """Servers of the team's own, paid for whether it asks or not."""


class Scarce(StrEnum):
    """What a team may take only so much of."""

    DEVICES = "devices"
    MEMORY = "memory"
    """MiB reserved."""
    REQUESTS = "requests"
    """Of the business, per business day."""
    BUDGET = "budget"
    """USD that its models are planned to cost in 30 days."""


class QuotaStanding(Spec):
    """Where one team stands with one quota."""

    team: str
    what: Scarce
    used: int
    """In the unit of `what`, rounded up."""
    limit: int
    borrowed: int = 0
    """Beyond the limit, from what others leave."""
    lendable: int = 0
    """What others leave that nobody has borrowed, while borrowing is on."""

    @property
    def over(self) -> bool:
        """Whether more is taken than the limit and what is borrowed allow."""
        return self.used > self.limit + self.borrowed

    @property
    def near(self) -> bool:
        """Whether it is time for a warning."""
        return not self.over and self.used * 100 >= self.limit * WARN_PERCENT and self.used > 0


WARN_PERCENT = 80
"""Of a limit, from which on a team is warned."""


class Quotas(Spec):
    """How much a team may take at most; None sets no limit."""

    devices: int | None = Field(default=None, ge=0)
    """Replicas that hold a device or a slice of one."""
    memory_bytes: int | None = Field(default=None, ge=0)
    """Reserved by all replicas of its online models together."""
    requests_per_day: int | None = Field(default=None, ge=0)
    """Requests of the business (replayed ones times what each stands for) per business day."""
