"""What servers are told to load. Control writes it; `archlab_serving.feed` reads the same JSON without importing us."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from .base import Sha256, Slug, Spec, UtcTime


class Column(Spec):
    """One column of a model's input matrix, in order.

    `source` is `request` (the caller brings it) or `VIEW` (a feature view; looked up by the view's join keys unless the
    request brings it). A column that nobody brings is NaN.
    """

    name: str
    source: str


class ReleaseKind(StrEnum):
    """What the file holds."""

    ONNX = "onnx"
    TABLE = "table"


class Release(Spec):
    """One servable version that an allow decision let through. `signature` covers `statement()`."""

    id: str
    """`MODEL:VERSION` for ONNX, `MODEL:VERSION:RUN` for tables."""
    model: Slug
    version: str
    team: Slug
    kind: ReleaseKind
    pool: Slug
    sha256: Sha256
    path: str
    """Relative to the feed's folder."""
    size_bytes: int
    decision_id: str
    decision_sha256: Sha256
    """Digest that the allow decision named: always that of the model's ONNX file."""
    source_sha256: Sha256
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    """Entity keys that a request may bring (BYTES tensors), for look-ups and table reads."""
    table_keys: tuple[str, ...] = ()
    """Keys that address a table's row, in order."""
    weight: int = Field(default=100, ge=0, le=100)
    role: Literal["champion", "challenger"] = "champion"
    deprecated: UtcTime | None = Field(default=None, exclude_if=lambda moment: moment is None)
    """Since when callers are told that it will go; business time."""
    sunset: UtcTime | None = Field(default=None, exclude_if=lambda moment: moment is None)
    """From when on it may be gone; business time."""
    created: UtcTime
    signature: str
    """Base64 Ed25519 signature by the lab's release key."""
    model_signature: str = ""
    """Of the model's own files, by whoever trained it: a Sigstore bundle; it speaks for itself. Empty: it has none."""

    def statement(self) -> dict[str, Any]:
        """What the signature covers, as the JSON object that is serialised with sorted keys and no spaces.

        Everything that decides which file answers, how its inputs are put together and who pays; not the weight, nor
        what callers are told of its end.
        """
        told = {"weight", "deprecated", "sunset"}
        covered = (
            set(type(self).model_fields) - told - {"created", "signature", "path", "size_bytes", "model_signature"}
        )
        return self.model_dump(mode="json", include=covered)


class ReleaseFeed(Spec):
    """Everything that should be loaded now, per model. Sequence grows with every change."""

    format: Literal["archlab/release-feed/v1"] = "archlab/release-feed/v1"
    sequence: int
    releases: tuple[Release, ...]
    shares: dict[Slug, dict[Slug, int]] = Field(default={}, exclude_if=lambda held: not held)
    """Requests that a replica answers at once, by pool and team; a team that is not named has no share to keep to."""
    closed: dict[Slug, str] = Field(default={}, exclude_if=lambda teams: not teams)
    """Teams that have used up their requests of the business day, and what their callers are told."""


class ViewSnapshot(Spec):
    """One feature view's online rows at a moment, in a file of its own, addressed by digest."""

    view: str
    sha256: Sha256
    path: str
    """Relative to the manifest's folder."""
    rows: int
    materialized: UtcTime
    """Business time of the materialisation that wrote it."""


class FeatureSnapshot(Spec):
    """The manifest that control publishes; servers keep a local copy of what it names."""

    format: Literal["archlab/feature-snapshot/v1"] = "archlab/feature-snapshot/v1"
    sequence: int
    business_time: UtcTime
    views: tuple[ViewSnapshot, ...]
    absent: tuple[str, ...] = Field(default=(), exclude_if=lambda names: not names)
    """Views that were published and of which no file has arrived where this manifest is read: in a region."""
