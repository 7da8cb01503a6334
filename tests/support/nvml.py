"""A stand-in for the NVML bindings: the functions that `archlab_serving.nvml` calls, over cards made for a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any


class NVMLError(Exception):
    """As the bindings raise it."""


@dataclass
class Card:
    name: str = "NVIDIA L4"
    uuid: str = "GPU-1"
    total: int = 24_152_899_584
    used: int = 500_000_000
    rates: tuple[int, int] | None = (37, 12)
    milliwatts: int | None = 28_500
    slices: list[Card] = field(default_factory=list)
    mig: bool | None = None


class Library:
    """Counts how often it is opened and closed."""

    NVMLError = NVMLError
    NVML_DEVICE_MIG_ENABLE = 1

    def __init__(self, cards: Sequence[Card] = (), *, driver: bool = True) -> None:
        self._cards = cards
        self._driver = driver
        self.opened = self.closed = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self._driver:
            raise NVMLError("NVML Shared Library Not Found")
        self.opened += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.closed += 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:  # noqa: N802
        return self._cards[index]

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:  # noqa: N802
        return SimpleNamespace(total=card.total, used=card.used, free=card.total - card.used)

    def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
        return card.uuid

    def nvmlDeviceGetName(self, card: Card) -> str:  # noqa: N802
        return card.name

    def nvmlDeviceGetUtilizationRates(self, card: Card) -> Any:  # noqa: N802
        if card.rates is None:
            raise NVMLError("Not Supported")
        return SimpleNamespace(gpu=card.rates[0], memory=card.rates[1])

    def nvmlDeviceGetPowerUsage(self, card: Card) -> int:  # noqa: N802
        if card.milliwatts is None:
            raise NVMLError("Not Supported")
        return card.milliwatts

    def nvmlDeviceGetMigMode(self, card: Card) -> tuple[int, int]:  # noqa: N802
        if card.mig is None:
            raise NVMLError("Not Supported")
        return int(card.mig), int(card.mig)

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:  # noqa: N802
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, number: int) -> Card:  # noqa: N802
        if number >= len(card.slices):
            raise NVMLError("Not Found")
        return card.slices[number]
