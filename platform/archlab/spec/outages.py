"""What was tried while something was broken, and what of it worked."""

from __future__ import annotations

from pydantic import Field

from .base import Slug, Spec, UtcTime


class Probe(Spec):
    """One thing that was tried again and again while something was broken."""

    key: Slug
    tried: int = Field(ge=0)
    succeeded: int = Field(ge=0)
    detail: str
    """What was done, and what was answered last."""


class Outage(Spec):
    """A unit was really stopped for a while, and this is what went on and what did not."""

    unit: str
    """What was down."""
    began: UtcTime
    ended: UtcTime
    business_time: UtcTime
    probes: tuple[Probe, ...]
