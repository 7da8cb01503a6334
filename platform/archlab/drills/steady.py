"""What experiments ask: Chaos Toolkit's probes of the steady state."""

from __future__ import annotations

import time
from collections.abc import Callable

from archlab.drills.testbed import the_testbed
from archlab.spec.drill import Recovery

IN_A_ROW = 3
_PAUSE_S = 0.05


def answers() -> bool:
    """Whether several writes and reads in a row are answered through the gateway."""
    testbed = the_testbed()
    return all(testbed.answers() for _ in range(IN_A_ROW))


def right() -> bool:
    """Whether the model's answers through the gateway are right, several times in a row."""
    testbed = the_testbed()
    return all(testbed.predictions_right() for _ in range(IN_A_ROW))


def rights(within_s: float) -> bool:
    """Whether they become right in time."""
    return _within(right, within_s)


def recovers(within_s: float) -> bool:
    """Whether writes and reads are answered again in time."""
    return _within(answers, within_s)


def promotions() -> bool:
    """Whether promotions are decided and carried out through the gateway, several times in a row."""
    testbed = the_testbed()
    return all(testbed.promotes() for _ in range(IN_A_ROW))


def promotes_again(within_s: float) -> bool:
    """Whether they are in time."""
    return _within(promotions, within_s)


def _within(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether it comes about; people have as long as the posture gives them, and nobody no longer than that."""
    posture = the_testbed().posture
    waits = {Recovery.MANUAL: posture.patience_s, Recovery.NONE: min(within_s, posture.patience_s)}
    deadline = time.monotonic() + waits.get(posture.recovery, within_s)
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(_PAUSE_S)
    return False
