"""What rules get to see of a version: pure functions from the registry's facts to a query's evidence.

Fields that are not known are left out, so that a rule's `requires` names them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from archlab.policy.chain import sha256

AUTHOR = "archlab.author"
APPROVED_BY = "archlab.approved_by"
APPROVED_EVIDENCE = "archlab.approved_evidence"
PROMOTED_AT = "archlab.promoted_at"
SHA256 = "archlab.sha256"
TEAM = "archlab.owner_team"

NOT_EVIDENCE = frozenset({APPROVED_BY, APPROVED_EVIDENCE, PROMOTED_AT})
"""Tags that come with approval and promotion and so can't be what was approved."""

SECONDS_PER_DAY = 86_400


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
    tags = {k: v for k, v in version.tags.items() if k.startswith("archlab.") and k not in NOT_EVIDENCE}
    return sha256(
        {
            "metrics": {k: repr(v) for k, v in version.metrics.items()},
            "onnx": version.onnx_sha256,
            "run": version.run_id,
            "tags": tags,
        }
    )


def promotion(
    version: Version, champion: Version | None, known_at_request: Sequence[str] | None, now: datetime
) -> dict[str, Any]:
    """Evidence of a `promotion/*` query at business time `now`."""
    about = _present(
        {
            "version": _version(version, now),
            "has_champion": champion is not None,
            "known_at_request": list(known_at_request) if known_at_request is not None else None,
        }
    )
    if champion is not None:
        metric = version.tags.get("archlab.metric", "")
        value = _finite(champion.metrics.get(metric))
        about["champion"] = _present({"version": champion.version, "value": value, "metrics": _metrics(champion)})
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
            "held_champion": PROMOTED_AT in tags,
            "metric": metric,
            "value": _finite(version.metrics.get(metric or "")),
            "baseline": _number(tags.get("archlab.baseline")),
            "metrics": _metrics(version),
            "data_digest": tags.get("archlab.data_digest"),
            "code_version": tags.get("archlab.code_version"),
            "feature_service": tags.get("archlab.feature_service"),
            "columns": _columns(tags.get("archlab.columns")),
            "evaluated_at": evaluated_at.isoformat() if evaluated_at else None,
            "evaluated_age_days": (now - evaluated_at).total_seconds() / SECONDS_PER_DAY if evaluated_at else None,
            "onnx": _present(
                {
                    "sha256": version.onnx_sha256,
                    "registered_sha256": tags.get(SHA256),
                    "parity_max_abs_diff": _number(tags.get("archlab.parity_max_abs_diff")),
                }
            ),
        }
    )


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
