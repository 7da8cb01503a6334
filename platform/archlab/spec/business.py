"""What a scenario's business supplies to the engine: cards of its models, requests of its callers, outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from .airline import Label
from .base import Slug, Spec, UtcTime
from .callers import Caller
from .release import Column


class ModelCard(Spec):
    """What a model is, apart from how it is deployed."""

    name: Slug
    title: str
    target: str
    """One sentence: what is predicted and when."""
    algorithm: str
    kind: Literal["classification", "estimate", "clusters"]
    feature_service: str
    columns: tuple[Column, ...]
    """Order of the model's input matrix."""
    keys: tuple[str, ...]
    """Entity keys of the request; the first addresses the subject."""
    table_keys: tuple[str, ...]
    """Keys of a precomputed answer."""
    metric: Literal["auc", "mae", "pinball", "explained_variance"]
    higher_is_better: bool
    baseline: str
    """One sentence: the simple rule that it has to beat."""
    gains_from_device: bool = False
    """True for matrix products (neural networks); tree ensembles stay on the CPU."""


class Ask(Spec):
    """One question that the business asks a model."""

    subject: str
    """Unique per model and moment; labels name the same."""
    asked: UtcTime
    keys: dict[str, str]
    """Values of the card's `keys`."""
    columns: dict[str, float]
    """Values of the card's `request` columns that are known at this moment."""


class Business(Protocol):
    """A module of content: `archlab_scenarios.<name>.business` has one called `BUSINESS`."""

    cards: Mapping[str, ModelCard]

    def asks(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Ask]:
        """Requests with start < asked <= end, in order of `asked`, from the typed Parquet files under `data`."""
        ...

    def labels(self, data: Path, model: str, caller: Caller, start: datetime, end: datetime) -> Sequence[Label]:
        """Outcomes with start < known <= end, for subjects that `asks` yields."""
        ...

    def batch_asks(self, data: Path, model: str, caller: Caller, when: datetime) -> Sequence[Ask]:
        """Subjects that a batch run at `when` scores ahead (asked within the day that follows), as known at `when`."""
        ...
