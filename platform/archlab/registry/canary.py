"""A challenger's share of the callers, as an MLflow client asks for it: the tag `archlab.canary` on a version. Pure.

The value is a percentage. A lower one, or deleting the tag, takes it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archlab.policy.traffic import permitted
from archlab.registry.calls import Kind
from archlab.spec.traffic import Traffic

TAG = "archlab.canary"
_PERCENT = re.compile("0|[1-9][0-9]?|100")


def is_canary(kind: Kind, body: Mapping[str, Any]) -> bool:
    """Whether a call asks for a share of the callers."""
    return kind in (Kind.TAG_VERSION, Kind.UNTAG_VERSION) and str(body.get("key")).lower() == TAG


def evidence(kind: Kind, said: str, traffic: Traffic, version: str, digest: str) -> dict[str, Any]:
    """What is wanted, allowed and routed, in percent of the callers; what the value does not say is left out.

    Args:
        kind: of the call.
        said: value of the tag.
        traffic: of the model.
        version: that the tag is on.
        digest: SHA-256 of its file now.
    """
    wanted = "0" if kind is Kind.UNTAG_VERSION else said
    return {
        **({"percent": int(wanted)} if _PERCENT.fullmatch(wanted) else {}),
        "percent_allowed": permitted(traffic.shares, version, digest),
        "percent_routed": traffic.routed.get(version, 0),
    }
