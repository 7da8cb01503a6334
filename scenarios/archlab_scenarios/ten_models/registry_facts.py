"""What the registry says about a model's versions: small readers that several truths share."""

from __future__ import annotations

from pydantic import TypeAdapter

from archlab.spec.grading import Evidence, VersionFacts
from archlab.spec.release import Column

_COLUMNS: TypeAdapter[tuple[Column, ...]] = TypeAdapter(tuple[Column, ...])


def versions_of(evidence: Evidence, model: str) -> list[VersionFacts]:
    """Every version, oldest first."""
    return sorted((v for v in evidence.versions if v.model == model), key=lambda v: int(v.version))


def champion_of(evidence: Evidence, model: str) -> VersionFacts | None:
    """The version under alias `champion`; None when there is none."""
    return next((v for v in evidence.versions if v.model == model and "champion" in v.aliases), None)


def columns_of(facts: VersionFacts) -> tuple[Column, ...]:
    """Its input columns, as registered."""
    return _COLUMNS.validate_json(facts.tags.get("archlab.columns", "[]"))


def views_of(facts: VersionFacts) -> set[str]:
    """Feature views that it reads."""
    return {c.source for c in columns_of(facts)} - {"request"}
