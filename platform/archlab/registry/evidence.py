"""What rules get to see of a version: pure functions from the registry's facts to a query's evidence.

Fields that are not known are left out, so that a rule's `requires` names them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from archlab.policy.chain import sha256
from archlab.policy.exceptions import SECONDS_PER_DAY
from archlab.registry import artifacts
from archlab.registry.canary import TAG as CANARY
from archlab.registry.exceptions import PREFIX as EXCEPTION
from archlab.spec.traffic import Tenure

AUTHOR = "archlab.author"
APPROVED_BY = "archlab.approved_by"
APPROVED_EVIDENCE = "archlab.approved_evidence"
APPROVED_AT = "archlab.approved_at"
PROMOTED_AT = "archlab.promoted_at"
REPLACED_AT = "archlab.replaced_at"
HOLD = "archlab.hold"
SHA256 = "archlab.sha256"
BOM_SHA256 = "archlab.bom_sha256"
TEAM = "archlab.owner_team"

SUNSET, RETIRED = "archlab.sunset", "archlab.retired"

NOT_EVIDENCE = frozenset(
    {APPROVED_BY, APPROVED_EVIDENCE, APPROVED_AT, PROMOTED_AT, REPLACED_AT, HOLD, SUNSET, RETIRED, CANARY}
)
"""Tags that come with or after approval and promotion and so can't be what was approved."""


@dataclass(frozen=True, slots=True)
class Version:
    """One model version as the registry has it now."""

    name: str
    version: str
    run_id: str
    source: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    onnx_sha256: str | None
    """Of the file in the artifact store, computed now."""

    @property
    def author(self) -> str:
        """Who registered it; empty when unknown."""
        return self.tags.get(AUTHOR, "")


def fingerprint(version: Version) -> str:
    """Digest of everything that an approval is about."""
    tags = {
        k: v
        for k, v in version.tags.items()
        if k.startswith("archlab.") and k not in NOT_EVIDENCE and not k.startswith(EXCEPTION)
    }
    return sha256(
        {
            "metrics": {k: repr(v) for k, v in version.metrics.items()},
            "onnx": version.onnx_sha256,
            "run": version.run_id,
            "tags": tags,
        }
    )


def promotion(
    version: Version,
    champion: Version | None,
    known_at_request: Sequence[str] | None,
    now: datetime,
    *,
    served_views: Sequence[str] | None = None,
    state: str = "",
    tenures: Sequence[Tenure] = (),
) -> dict[str, Any]:
    """Evidence of a `promotion/*` query at business time `now`; `tenures` are the model's, from the decision log."""
    about = _present(
        {
            "version": _version(version, now) | _present({"state": state}) | _history(version, tenures, now),
            "has_champion": champion is not None,
            "known_at_request": list(known_at_request) if known_at_request is not None else None,
            "served_views": list(served_views) if served_views is not None else None,
        }
    )
    if champion is not None:
        metric = version.tags.get("archlab.metric", "")
        value = _finite(champion.metrics.get(metric))
        digest = champion.tags.get("archlab.data_digest")
        known = {"version": champion.version, "value": value, "metrics": _metrics(champion), "data_digest": digest}
        about["champion"] = _present(known)
    return about


def _version(version: Version, now: datetime) -> dict[str, Any]:
    tags = version.tags
    metric = tags.get("archlab.metric")
    evaluated_at = _time(tags.get("archlab.evaluated_at"))
    approved_by = tags.get(APPROVED_BY)
    return _present(
        {
            "version": version.version,
            "run_id": version.run_id or None,
            "author": tags.get(AUTHOR),
            "approved_by": approved_by,
            "changed_since_approval": tags.get(APPROVED_EVIDENCE) != fingerprint(version) if approved_by else None,
            "approved_age_days": _age_days(tags.get(APPROVED_AT), now) if approved_by else None,
            "metric": metric,
            "value": _finite(version.metrics.get(metric or "")),
            "baseline": _number(tags.get("archlab.baseline")),
            "metrics": _metrics(version),
            "data_digest": tags.get("archlab.data_digest"),
            "code_version": tags.get("archlab.code_version"),
            "feature_service": tags.get("archlab.feature_service"),
            "columns": _columns(tags.get("archlab.columns")),
            "evaluated_at": evaluated_at.isoformat() if evaluated_at else None,
            "evaluated_age_days": _age_days(tags.get("archlab.evaluated_at"), now),
            "onnx": _present(
                {
                    "sha256": version.onnx_sha256,
                    "registered_sha256": tags.get(SHA256),
                    "parity_max_abs_diff": _number(tags.get("archlab.parity_max_abs_diff")),
                }
            ),
        }
    )


def tenure(version: Version, tenures: Sequence[Tenure]) -> Tenure | None:
    """When a version was champion with the file that it has now; None when the log knows nothing of it."""
    same = ((t.version, t.digest) == (version.version, version.onnx_sha256) for t in tenures)
    return next((t for t, found in zip(tenures, same, strict=True) if found), None)


def _history(version: Version, tenures: Sequence[Tenure], now: datetime) -> dict[str, Any]:
    held = tenure(version, tenures)
    if held is None:
        return {"held_champion": False, "serves": False, "withdrawn": False}
    known = {"held_champion": True, "serves": held.until is None, "withdrawn": held.withdrawn}
    return known | ({"replaced_age_days": _days(held.until, now)} if held.until else {})


def deletion(
    versions: Mapping[str, Mapping[str, str]], now: datetime, origins: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """Evidence of a `retention/delete` query: the versions that would go.

    Args:
        versions: their tags, by number.
        now: business time.
        origins: by number, what else goes with each: `run_id`, `model_id`, `path` of its files in the store.
    """
    return {
        "versions": [
            _present(
                {
                    "version": version,
                    "held_champion": PROMOTED_AT in tags,
                    "promoted_age_days": _age_days(tags.get(PROMOTED_AT), now),
                    "replaced_age_days": _age_days(tags.get(REPLACED_AT), now),
                    "sha256": tags.get(SHA256),
                    **(origins or {}).get(version, {}),
                }
            )
            | {"hold": hold(tags)}
            for version, tags in versions.items()
        ]
    }


def registration(source: str, where: Path | None) -> dict[str, Any]:
    """Evidence of a `supply_chain/register` query: the files at the place that a version's source leads to."""
    about = {"source": source, "in_store": where is not None and where.is_dir()}
    if where is None or not where.is_dir():
        return about | {"files": []}
    return about | {"files": [{"path": f.path, "kind": f.kind, "bytes": f.size_bytes} for f in artifacts.files(where)]}


def hold(tags: Mapping[str, str]) -> str:
    """Why a version is on hold, however the tag's name is spelt; empty when it is not."""
    return next((value or "no reason given" for key, value in tags.items() if key.lower() == HOLD), "")


def _age_days(text: str | None, now: datetime) -> float | None:
    """Days on the business clock since a time as ISO 8601; negative for one that is yet to come."""
    moment = _time(text)
    return _days(moment, now) if moment else None


def _days(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds() / SECONDS_PER_DAY


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def _metrics(version: Version) -> dict[str, float]:
    return {name: value for name, value in sorted(version.metrics.items()) if math.isfinite(value)}


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _number(text: str | None) -> float | None:
    try:
        return _finite(float(text)) if text else None
    except ValueError:
        return None


def _time(text: str | None) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def _columns(text: str | None) -> list[dict[str, str]] | None:
    """`[{name, source}]` from the tag's JSON; None when it is not that."""
    try:
        found = json.loads(text) if text else None
        return [{"name": str(c["name"]), "source": str(c["source"])} for c in found] if found is not None else None
    except (ValueError, TypeError, KeyError):
        return None
