"""How many pods a pool should have for the requests under way. Pure.

The rule is that of the HorizontalPodAutoscaler (Kubernetes documentation, Horizontal Pod Autoscaling, algorithm
details): replicas × measured / target, rounded up, nothing within 10 % of the target, and fewer only when fewer would
have done all through the stabilization window.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from archlab.spec.autoscaling import Autoscaling

TOLERANCE = 0.1
_SAMPLE = re.compile(r"^archlab_inference_seconds_sum(?:\{[^}]*\})?\s+(?P<value>\S+)", re.MULTILINE)

Busy = Mapping[str, float]
"""Seconds that each pod spent on requests since it started: every request under way adds one per second."""


def busy_seconds(exposition: str) -> float:
    """What one pod's Prometheus text says."""
    return sum(float(match["value"]) for match in _SAMPLE.finditer(exposition))


def concurrency(before: Busy, after: Busy, elapsed_s: float) -> float:
    """Requests under way per pod, on average over the time between two readings (Little's law).

    Args:
        before: the earlier reading. What a pod did that it lacks is not known and counts as nothing, as with the
            HorizontalPodAutoscaler; one whose counter fell was started anew.
        after: the later one; must not be empty.
        elapsed_s: between them.
    """
    grown = (now - was if now >= (was := before.get(pod, now)) else now for pod, now in after.items())
    return sum(grown) / elapsed_s / len(after)


def recommend(replicas: int, value: float, target: float) -> int:
    """Replicas that would bring the value per pod to its target."""
    ratio = value / target
    return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(replicas * ratio)


@dataclass(slots=True)
class Stabilizer:
    """Bounds recommendations, and remembers them so that a short lull takes no pod away."""

    _kept: list[tuple[float, int]] = field(default_factory=list)

    def decide(self, now_s: float, replicas: int, wanted: int, least: int, settings: Autoscaling) -> int:
        """Replicas to have from now on.

        Args:
            now_s: monotonic clock.
            replicas: that there are.
            wanted: recommended by the last reading.
            least: never fewer.
            settings: never more, and how long fewer must have been enough.
        """
        bounded = min(max(wanted, least), settings.max_replicas)
        if not self._kept:
            self._kept.append((now_s, replicas))  # nothing is known of the time before
        self._kept.append((now_s, bounded))
        self._kept = [(at, count) for at, count in self._kept if at >= now_s - settings.stabilization_s]
        highest = max(count for _, count in self._kept)
        return bounded if bounded >= replicas else max(least, min(replicas, highest))
