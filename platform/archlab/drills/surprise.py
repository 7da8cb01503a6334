"""What a code stands for: which drill, when it strikes, how long it pauses. The same on every machine, offline.

Nothing is stored: everything is drawn from SHA-256 over the code. Whoever wants to know beforehand can compute it;
that is on their honour.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any

from archlab.errors import UsageError
from archlab.spec.drill import Surprise
from archlab.spec.drill_kinds import WITHIN_S

LABEL = "archlab/surprise/v1"
SOONEST_S = 5.0
PAUSE_S = (1.5, 4.0)
"""From and to: how long a drill pauses where its own text names a time."""
PAUSE = "pause"


def draw(code: str, drills: Sequence[str], within_s: float = WITHIN_S) -> Surprise:
    """What a code stands for.

    A drill more or less changes only those codes that fall on it.

    Args:
        code: blanks around it and the case of letters don't matter.
        drills: what may come, in any order; at least one.
        within_s: the fault comes this long after the control run at the latest.

    Raises:
        UsageError: the code is empty.
    """
    said = code.strip().casefold()
    if not said:
        raise UsageError("A surprise needs a code: any word that a class agrees on.")
    return Surprise(
        code=code.strip(),
        drill=max(drills, key=lambda name: (_number(said, "drill", name), name)),
        delay_s=round(_between(said, "delay", min(SOONEST_S, within_s), within_s), 2),
        pause_s=round(_between(said, "pause", *PAUSE_S), 2),
    )


def with_pauses(content: dict[str, Any], pause_s: float) -> dict[str, Any]:
    """An experiment whose pauses last as long as drawn; the given one stays as it is."""
    made = copy.deepcopy(content)
    for activity in made["method"]:
        if activity["provider"].get("func") == PAUSE:
            activity["provider"]["arguments"]["seconds"] = pause_s
    return made


def _between(code: str, purpose: str, low: float, high: float) -> float:
    return low + (high - low) * _number(code, purpose) / 2**64


def _number(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join((LABEL, *parts)).encode()).digest()[:8])
