"""What every declared or reported thing shares."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


class Spec(BaseModel):
    """A frozen value; unknown fields are errors, so that a typing mistake never passes silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs a zone; write it with a trailing Z")
    return value.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_utc)]
"""A moment on the business clock or the wall clock, always UTC."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
"""A name in lower case with dashes, safe in paths, metrics and Kubernetes."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hexadecimal."""

NanoUsd = int
"""Money: billionths of a US dollar. Never a float."""

NANO_PER_USD = 1_000_000_000
