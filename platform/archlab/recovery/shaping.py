"""How a link delays and throttles: pure arithmetic on times."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from archlab.spec.base import Spec


class Shape(Spec):
    """What a link does to the bytes that cross it, each way."""

    latency_ms: float = Field(default=0.0, ge=0, le=10_000)
    """One way."""
    bytes_per_s: int | None = Field(default=None, ge=1_000)
    """None: as fast as the machine."""
    cut: bool = False
    """Nothing crosses. Connections stay open and silent, as with a partition; what is on its way waits."""


@dataclass(slots=True)
class Pacer:
    """One direction of one connection: bytes leave one after the other, and arrive `latency_ms` later."""

    free_at: float = 0.0

    def arrival(self, now: float, size: int, shape: Shape) -> float:
        """When `size` bytes that are sent now have arrived, in seconds of the clock that `now` is of."""
        begins = max(now, self.free_at)
        self.free_at = begins + (size / shape.bytes_per_s if shape.bytes_per_s else 0.0)
        return self.free_at + shape.latency_ms / 1000
