"""Metrics of devices, read when somebody asks: ours by model, and the cards' under the names of NVIDIA's exporter.

Names, units and labels of `DCGM_FI_DEV_*` are those of dcgm-exporter, with a label `basis` more. Of an emulated card
only its memory is known, as the plan reserves it (accounting, not a measurement); what isn't known is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .devices import REAL, Device, Devices, Holder
from .nvml import Gpu, gpus

MIB = 1 << 20
_CARD = ("gpu", "UUID", "device", "modelName", "GPU_I_PROFILE", "basis")


class Reading(NamedTuple):
    """One figure of one card; None where the driver doesn't offer it."""

    name: str
    about: str
    value: float | None


class DeviceMetrics(Collector):
    """Families of the devices that this server may use; none for a server without any.

    Args:
        devices: what is placed and held.
        read: reads the cards that are there.
    """

    def __init__(self, devices: Devices, read: Callable[[], Sequence[Gpu]] = gpus) -> None:
        self._devices = devices
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Nothing is known of the families before the file is read."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The families of Prometheus."""
        placements = self._devices.placements
        if not placements.devices:
            return
        holders = self._devices.holders()
        yield _models(holders)
        yield _memory(holders)
        yield _nodes(holders)
        there = self._read() if any(d.basis == REAL for d in placements.devices) else ()
        by_uuid = {gpu.uuid: gpu for gpu in there}
        yield from _cards([(d, _readings(d, by_uuid.get(d.uuid))) for d in placements.devices])


def _models(holders: Sequence[Holder]) -> Metric:
    labels = ("model", "version", "device", "basis", "provider")
    family = GaugeMetricFamily("archlab_model_device", "Versions on a device, and what computes them", labels=labels)
    for model, version, device, basis, provider in sorted(
        {(h.model, h.version, h.device.name, h.device.basis, h.provider) for h in holders}
    ):
        family.add_metric([model, version, device, basis, provider], 1)
    return family


def _memory(holders: Sequence[Holder]) -> Metric:
    labels = ("model", "version", "device", "basis")
    about = "Device memory that the version is expected to take; a lower bound"
    family = GaugeMetricFamily("archlab_model_device_memory_bytes", about, labels=labels)
    sums: dict[tuple[str, ...], int] = {}
    for holder in holders:
        key = (holder.model, holder.version, holder.device.name, holder.device.basis)
        sums[key] = sums.get(key, 0) + holder.bytes
    for names, total in sorted(sums.items()):
        family.add_metric(names, total)
    return family


def _nodes(holders: Sequence[Holder]) -> Metric:
    about = "Nodes of the graph by what ran them in a profiled inference"
    family = GaugeMetricFamily("archlab_model_device_nodes", about, labels=("model", "version", "provider"))
    for holder in holders:
        for provider, nodes in holder.nodes.items():
            family.add_metric([holder.model, holder.version, provider], nodes)
    return family


def _readings(device: Device, gpu: Gpu | None) -> list[Reading]:
    """Of a card that is there what its driver says; of an emulated one what is reserved."""
    if device.basis != REAL:
        used, free = device.reserved_bytes, max(0, device.memory_bytes - device.reserved_bytes)
        return _memory_readings(used, free)
    if gpu is None:
        return []
    optional = (
        Reading("DCGM_FI_DEV_GPU_UTIL", "GPU utilization, percent", gpu.gpu_percent),
        Reading("DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization, percent", gpu.copy_percent),
        Reading("DCGM_FI_DEV_POWER_USAGE", "Power draw, W", gpu.power_w),
    )
    return [*_memory_readings(gpu.used_bytes, gpu.free_bytes), *optional]


def _memory_readings(used: int, free: int) -> list[Reading]:
    return [
        Reading("DCGM_FI_DEV_FB_USED", "Framebuffer memory used, MiB", used // MIB),
        Reading("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free, MiB", free // MIB),
    ]


def _cards(readings: Sequence[tuple[Device, list[Reading]]]) -> Iterator[Metric]:
    families: dict[str, GaugeMetricFamily] = {}
    for device, figures in readings:
        gpu = str(device.index) if device.basis == REAL else device.name
        labels = [gpu, device.uuid, device.name, device.product, device.profile, device.basis]
        for name, about, value in figures:
            if value is not None:
                family = families.setdefault(name, GaugeMetricFamily(name, about, labels=_CARD))
                family.add_metric(labels, value)
    yield from families.values()
