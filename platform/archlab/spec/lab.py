"""Who a lab is: the contents of lab.json."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from .base import Slug, Spec, UtcTime


class LabState(StrEnum):
    """How far a lab's making got."""

    SEEDING = "seeding"
    READY = "ready"


class LabIdentity(Spec):
    """Name, scenario and seed of a lab, and where its gateway listens."""

    format: Literal["archlab/lab/v1"] = "archlab/lab/v1"
    lab: Slug
    scenario: Slug
    seed: int
    code_version: str
    gateway_port: int
    state: LabState
    created: UtcTime
