"""Deprecating, reinstating and retiring, as an MLflow client does it: a tag on a model or version, or a stage. Pure.

`archlab.sunset` (a date or a time) deprecates, `archlab.retired` (why) and the stage Archived retire; deleting the tag
reinstates what is deprecated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from archlab.policy.exceptions import SECONDS_PER_DAY
from archlab.policy.lifecycle import DEPRECATE, REINSTATE, RETIRE, state_of, sunset_of
from archlab.registry.calls import Kind
from archlab.registry.evidence import RETIRED, SUNSET
from archlab.registry.exceptions import end_of
from archlab.spec.policy import Standing

ARCHIVED = "archived"
CHAMPION, CHALLENGER = "champion", "challenger"
SETTING = frozenset({Kind.TAG_MODEL, Kind.TAG_VERSION})
DELETING = frozenset({Kind.UNTAG_MODEL, Kind.UNTAG_VERSION})


def action_of(kind: Kind, body: Mapping[str, Any]) -> str | None:
    """What a call would do to a version's or a model's life; None for any other call."""
    if kind is Kind.TRANSITION and str(body.get("stage")).lower() == ARCHIVED:
        return RETIRE
    key = str(body.get("key")).lower()
    if key not in (SUNSET, RETIRED):
        return None
    if kind in DELETING:
        return REINSTATE
    return (DEPRECATE if key == SUNSET else RETIRE) if kind in SETTING else None


def state(standings: Sequence[Standing], aliases: Mapping[str, str], version: str = "", *, held: bool = False) -> str:
    """candidate, challenger, champion, former, deprecated or retired; of the model itself without a version.

    `held`: whether the log knows it as a champion.
    """
    if gone := state_of(standings, version):
        return gone
    for alias in (CHAMPION, CHALLENGER):
        if alias in aliases and version in ("", aliases[alias]):
            return alias
    return "former" if held else "candidate"


def move(
    action: str,
    said: str,
    standings: Sequence[Standing],
    aliases: Mapping[str, str],
    now: datetime,
    *,
    version: str = "",
    held: bool = False,
) -> dict[str, Any]:
    """Evidence of a `lifecycle/*` query.

    Args:
        action: one of them.
        said: the tag's value, or the stage.
        standings: of this model.
        aliases: of this model, and the versions they are at.
        now: business time.
        version: empty for the model as a whole.
        held: whether the log knows the version as a champion.
    """
    about: dict[str, Any] = {
        "state": state(standings, aliases, version, held=held),
        "serves": CHAMPION in aliases and version in ("", aliases[CHAMPION]),
    }
    if action == DEPRECATE and (sunset := end_of(said)):
        about |= {"sunset": sunset.isoformat(), "notice_days": _days(sunset, now)}
    if action == RETIRE:
        about["reason"] = said
        if sunset := sunset_of(standings, version):
            about["sunset_age_days"] = -_days(sunset, now)
    return about


def _days(moment: datetime, now: datetime) -> float:
    return (moment - now).total_seconds() / SECONDS_PER_DAY
