"""What exams ask, as data with dates and evidence, and which competencies belong to which domain."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from .base import Spec

Weight = Annotated[str, StringConstraints(pattern=r"^(\d{1,3}(-\d{1,3})?)?$")]
"""A percentage as published: `20`, or `25-30`; empty when none is published."""


class Domain(Spec):
    """One part of an exam."""

    name: str
    weight: Weight = ""


class Blueprint(Spec):
    """One exam."""

    vendor: str
    title: str
    evidence: Literal["vendor", "mirror", "secondhand"]
    supersedes: str = ""
    domains: dict[str, Domain] = Field(min_length=1)


class Competency(Spec):
    """Something an architect can do."""

    name: str
    domains: tuple[str, ...]
    """`EXAM/DOMAIN`: where its questions may belong."""
    practise: tuple[str, ...] = ()
    """Commands of a lab that exercise it, without `archlab`."""


class Blueprints(Spec):
    """`blueprints.yaml` among the scenarios."""

    format: Literal["archlab/blueprints/v1"]
    as_of: date
    exams: dict[str, Blueprint]
    retired: dict[str, date] = {}
    """Exams that are gone, and since when."""
    competencies: dict[str, Competency]

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = {f"{exam}/{domain}" for exam, found in self.exams.items() for domain in found.domains}
        for name, competency in self.competencies.items():
            unknown = sorted(set(competency.domains) - known)
            if unknown:
                raise ValueError(f"competency {name} names the unknown domain {unknown[0]}")
        return self
