"""Read-only facts about a running lab's registry, as specs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from archlab.errors import ArchlabError, NotFoundError
from archlab.lab.lab import Lab
from archlab.spec.grading import VersionFacts


def versions_of(lab: Lab, model: str) -> tuple[VersionFacts, ...]:
    """Every registered version of a model, oldest first.

    Raises:
        NotFoundError: the registry has no such model.
    """
    registry = lab.registry()
    where = quote(f"name='{model}'")
    found = registry.get(f"/model-versions/search?filter={where}&max_results=1000").get("model_versions", [])
    if not found:
        raise NotFoundError(f"The registry has no model {model!r}.", "See: archlab models")
    registered = registry.get(f"/registered-models/get?name={quote(model)}")["registered_model"]
    aliases = {a["alias"]: str(a["version"]) for a in registered.get("aliases", [])}
    ordered = sorted(found, key=lambda v: int(v["version"]))
    return tuple(_facts(lab, version, aliases) for version in ordered)


def version_named(lab: Lab, reference: str) -> VersionFacts:
    """The version that `MODEL@ALIAS`, `MODEL@NUMBER` or `MODEL` (its champion) names.

    Raises:
        NotFoundError: there is no such model, or it has no such alias or version.
    """
    model, _, which = reference.partition("@")
    which = which or "champion"
    found = versions_of(lab, model)
    for version in found:
        if which == version.version or which in version.aliases:
            return version
    known = ", ".join([*(v.version for v in found), *sorted({a for v in found for a in v.aliases})])
    raise NotFoundError(f"{model} has no version or alias {which!r}.", f"It has: {known}.")


def file_of(lab: Lab, version: VersionFacts, name: str) -> bytes:
    """One of a version's files, by its path below the model's folder.

    Raises:
        NotFoundError: it has none of that name.
    """
    query = urlencode({"name": version.model, "version": version.version, "path": name})
    try:
        return lab.client("/mlflow").text(f"/model-versions/get-artifact?{query}").encode()
    except ArchlabError as error:
        if error.status in (401, 403, 429, 503, 504):
            raise
        raise NotFoundError(f"{version.model} version {version.version} has no file {name}.") from None


def all_versions(lab: Lab) -> tuple[VersionFacts, ...]:
    """Every version of every model of the scenario."""
    return tuple(fact for model in lab.declared.models for fact in versions_of(lab, model.name))


def _facts(lab: Lab, version: dict[str, Any], aliases: dict[str, str]) -> VersionFacts:
    tags = {t["key"]: t["value"] for t in version.get("tags", [])}
    return VersionFacts(
        model=version["name"],
        version=str(version["version"]),
        aliases=tuple(sorted(a for a, v in aliases.items() if v == str(version["version"]))),
        author=tags.get("archlab.author", ""),
        approved_by=tags.get("archlab.approved_by", ""),
        metrics=_metrics(lab, version),
        tags=tags,
        run_id=version.get("run_id") or "",
    )


def _metrics(lab: Lab, version: dict[str, Any]) -> dict[str, float]:
    if not (run := version.get("run_id")):
        return {}
    found = lab.registry().get(f"/runs/get?run_id={run}")["run"]["data"].get("metrics", [])
    return {m["key"]: float(m["value"]) for m in found}
