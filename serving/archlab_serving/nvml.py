"""Devices that the NVIDIA driver of this machine reports, through NVML (its management library).

Neither the driver nor the package `nvidia-ml-py` has to be there: without them there are no devices, and nothing is
raised. The library is opened and closed for each reading, so no process keeps a device busy by looking at it.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

logger = logging.getLogger("archlab_serving")


@dataclass(frozen=True, slots=True)
class GpuSlice:
    """One MIG slice that is set up on a card."""

    uuid: str
    profile: str
    """`1g.5gb`."""
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One card as it is now; a reading that the driver does not offer is None."""

    index: int
    uuid: str
    product: str
    memory_bytes: int
    used_bytes: int
    free_bytes: int
    slices: tuple[GpuSlice, ...] = ()
    gpu_percent: int | None = None
    copy_percent: int | None = None
    power_w: float | None = None


def load_library() -> Any:
    """The NVML bindings; None when they are not installed."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def gpus(library: Callable[[], Any] = load_library) -> tuple[Gpu, ...]:
    """Every card, in NVML's order; none where there is no driver.

    Args:
        library: hands over the bindings; another object of the same functions may stand in for them.
    """
    nvml = library()
    if nvml is None:
        return ()
    try:
        with _opened(nvml):
            return tuple(_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError as error:
        logger.debug("NVML reports no devices: %s", error)
        return ()


@contextlib.contextmanager
def _opened(nvml: Any) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    rates = _optional(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
    milliwatts = _optional(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        product=_text(nvml.nvmlDeviceGetName(handle)),
        memory_bytes=int(memory.total),
        used_bytes=int(memory.used),
        free_bytes=int(memory.free),
        slices=tuple(_slices(nvml, handle)),
        gpu_percent=None if rates is None else int(rates.gpu),
        copy_percent=None if rates is None else int(rates.memory),
        power_w=None if milliwatts is None else milliwatts / 1000,
    )


def _slices(nvml: Any, card: Any) -> Iterator[GpuSlice]:
    mode = _optional(nvml, lambda: nvml.nvmlDeviceGetMigMode(card))
    if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
        return
    for number in range(nvml.nvmlDeviceGetMaxMigDeviceCount(card)):
        handle = _optional(nvml, partial(nvml.nvmlDeviceGetMigDeviceHandleByIndex, card, number))
        if handle is not None:
            name, memory = _text(nvml.nvmlDeviceGetName(handle)), nvml.nvmlDeviceGetMemoryInfo(handle)
            profile = name.rpartition("MIG ")[2]
            yield GpuSlice(_text(nvml.nvmlDeviceGetUUID(handle)), profile, int(memory.total))


def _optional(nvml: Any, read: Callable[[], Any]) -> Any:
    """A reading that not every card offers."""
    try:
        return read()
    except nvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
