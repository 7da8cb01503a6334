"""Which versions callers were and may be answered by, as the decision log has it."""

from __future__ import annotations

from pydantic import Field

from .base import Spec, UtcTime


class Tenure(Spec):
    """A version that the log let through as champion, with the file that it had."""

    version: str
    digest: str
    since: UtcTime
    until: UtcTime | None = None
    """When another was let through, or the alias was taken away; None for the one on record as champion."""
    withdrawn: bool = False
    """Whether a return to an earlier champion undid it."""


class Share(Spec):
    """The share of the callers that the log lets a challenger answer; for the file that it had then."""

    id: str
    """Of the decision."""
    version: str
    digest: str
    percent: int = Field(ge=0, le=100)
    since: UtcTime


class Traffic(Spec):
    """What control knows of one model's traffic."""

    tenures: tuple[Tenure, ...] = ()
    """In the order of their first promotion; the withdrawn among them."""
    shares: tuple[Share, ...] = ()
    """The newest per version and file."""
    routed: dict[str, int] = {}
    """Percent of the callers that the plan in force sends to a version by its number."""
