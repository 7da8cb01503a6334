"""Work that runs once and ends: training, seeding, batch scoring, replay, load."""

from __future__ import annotations

from typing import Any

from .base import Slug, Spec


class Job(Spec):
    """`python -m module args`, with the lab's folder in ARCHLAB_LAB."""

    name: Slug
    module: str
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}


class JobResult(Spec):
    """What a finished job reported last."""

    result: dict[str, Any]
    seconds: float
    peak_rss_bytes: int = 0
