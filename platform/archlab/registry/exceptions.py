"""Granting and revoking an exception, as an MLflow client does it: a tag on the model, or on one version. Pure.

The key is `archlab.exception.AREA/RULE`, the value a JSON object: `{"until": "2013-11-20", "owner": …, "reason": …}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from archlab.policy.exceptions import SECONDS_PER_DAY

PREFIX = "archlab.exception."


def rule_of(key: str) -> str | None:
    """The rule that a tag would waive; None for any other tag."""
    return key[len(PREFIX) :] if key.lower().startswith(PREFIX) else None


def grant(
    rule: str, value: str, waivable: Mapping[str, bool], authors: Sequence[str], created: str, now: datetime
) -> dict[str, Any]:
    """Evidence of an `exception/grant` query; what the value does not say is left out.

    Args:
        rule: that is to be waived.
        value: of the tag.
        waivable: whether each rule in force can be waived.
        authors: of the versions that it would be for.
        created: when the registered model was made.
        now: business time.
    """
    said = _object(value)
    until = end_of(said.get("until"))
    about: dict[str, Any] = {
        "rule": rule,
        "known": rule in waivable,
        "waivable": waivable.get(rule, False),
        "authors": list(authors),
        "model_created": created,
    }
    if until:
        about |= {"until": until.isoformat(), "days": (until - now).total_seconds() / SECONDS_PER_DAY}
    return about | {key: said[key] for key in ("owner", "reason") if isinstance(said.get(key), str)}


def end_of(text: Any) -> datetime | None:
    """The moment that an exception ends: a date counts to its end in UTC, a time as it is; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _time(text)
    try:
        return datetime.combine(day + timedelta(days=1), time(), UTC)
    except OverflowError:
        return None


def _time(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
