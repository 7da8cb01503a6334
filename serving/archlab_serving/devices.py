"""The devices that this server may use: which models are on them, how much memory each may take, and who holds it.

The plan decides placements and writes them into one small file per replica (`ARCHLAB_SERVING_DEVICES`); the server
enforces the memory, and computes on a device that is there. A model on an emulated device is computed on the CPU: the
device is booked, and nothing else of it is made up.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from .errors import RefusedReleaseError
from .held_devices import in_place

logger = logging.getLogger("archlab_serving")

FORMAT = "archlab/serving-devices/v1"
REAL, EMULATED = "real", "emulated"
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
NO_DEVICE_MEMORY = "device_memory"

Provider = str | tuple[str, dict[str, Any]]
Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Device:
    """A device, or one MIG slice of it."""

    name: str
    uuid: str
    product: str
    basis: str
    """`real` or `emulated`."""
    index: int
    """CUDA's ordinal with CUDA_DEVICE_ORDER=PCI_BUS_ID."""
    memory_bytes: int
    profile: str = ""
    """Of a MIG slice."""
    reserved_bytes: int = field(default=0, compare=False)
    """Reserved on it by all replicas together, as planned; others' coming and going moves no model of ours."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One model's place."""

    device: Device
    memory_bytes: int
    """What all loaded versions of the model may take on it together."""


@dataclass(frozen=True, slots=True)
class Placements:
    """The file's content."""

    devices: tuple[Device, ...] = ()
    models: Mapping[str, Assignment] | None = None

    def of(self, model: str) -> Assignment | None:
        """Where a model is; None for the CPU."""
        return (self.models or {}).get(model)


class Holder(NamedTuple):
    """A loaded version and what it takes."""

    model: str
    version: str
    device: Device
    bytes: int
    provider: str
    nodes: Mapping[str, int]
    """Nodes by execution provider, as profiled; empty where nothing was measured."""


class Lease:
    """Device memory of one loaded version; free again when the last reference to it goes."""

    __slots__ = ("__weakref__", "assignment", "limit_bytes", "need_bytes", "nodes", "provider")

    def __init__(self, assignment: Assignment, need_bytes: int, limit_bytes: int) -> None:
        self.assignment = assignment
        self.need_bytes = need_bytes
        self.limit_bytes = limit_bytes
        """Most that the session may take: its need and all that the model's other versions leave."""
        self.provider = CPU
        self.nodes: Mapping[str, int] = {}

    @property
    def real(self) -> bool:
        """Whether the device is there."""
        return self.assignment.device.basis == REAL

    def describe(self) -> dict[str, Any]:
        """For a model's metadata."""
        device = self.assignment.device
        about = {"name": device.name, "product": device.product, "basis": device.basis, "provider": self.provider}
        return {**about, "memory_bytes": self.need_bytes, **({"nodes": dict(self.nodes)} if self.nodes else {})}


class Devices:
    """What this process holds on its devices. `read` and `lease` may be called from any thread.

    Args:
        path: the file; None for a server without devices.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: Stamp = None
        self._lock = threading.Lock()
        self._leases: dict[int, tuple[str, str, weakref.ref[Lease]]] = {}
        self.placements = Placements()

    def changed(self) -> bool:
        """Whether the file is another than the one that was read."""
        return self._path is not None and _stamp(self._path) != self._stamp

    def read(self) -> None:
        """Takes over the file where it has changed. One that can't be read leaves the last one in force."""
        if self._path is None or not self.changed():
            return
        stamp = _stamp(self._path)
        try:
            self.placements = parse(self._path.read_bytes()) if stamp else Placements()
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s not taken, the placements before it stay in force: %r", self._path, error)
        self._stamp = stamp

    def lease(self, model: str, version: str, need_bytes: int) -> Lease | None:
        """Memory for one version on its model's device; None for a model that is on none.

        Raises:
            RefusedReleaseError: it needs more than is left there.
        """
        assignment = self.placements.of(model)
        if assignment is None:
            return None
        with self._lock:
            left = self._left(model, assignment)
            if need_bytes > left:
                raise RefusedReleaseError(NO_DEVICE_MEMORY, _too_large(model, version, need_bytes, left, assignment))
            lease = Lease(assignment, need_bytes, left)
            self._leases[id(lease)] = (model, version, weakref.ref(lease))
            weakref.finalize(lease, self._leases.pop, id(lease), None)
        return lease

    def holders(self) -> list[Holder]:
        """Every version that holds device memory now."""
        held = [(model, version, ref()) for model, version, ref in list(self._leases.values())]
        return [
            Holder(model, version, lease.assignment.device, lease.need_bytes, lease.provider, lease.nodes)
            for model, version, lease in held
            if lease is not None
        ]

    def _left(self, model: str, assignment: Assignment) -> int:
        """Of the model's own reservation, and of the device beside what other replicas have reserved on it."""
        device = assignment.device
        held = [holder for holder in self.holders() if holder.device.name == device.name]
        planned = sum(a.memory_bytes for a in (self.placements.models or {}).values() if a.device.name == device.name)
        elsewhere = max(0, device.reserved_bytes - planned)
        own = sum(holder.bytes for holder in held if holder.model == model)
        everybody = sum(holder.bytes for holder in held)
        return min(assignment.memory_bytes - own, device.memory_bytes - elsewhere - everybody)


def parse(data: bytes, environment: Mapping[str, str] | None = None) -> Placements:
    """The placements in a file's content; ValueError, KeyError or TypeError for anything else.

    Args:
        data: the file's.
        environment: tells which devices a pod holds; the process's own unless another is given.
    """
    document = orjson.loads(data)
    if document["format"] != FORMAT:
        raise ValueError(f"format is {document['format']!r}, expected {FORMAT!r}")
    document = in_place(document, os.environ if environment is None else environment)
    devices = {entry["name"]: _device(entry) for entry in document["devices"]}
    models = {
        model: Assignment(devices[entry["device"]], _bytes(entry["memory_bytes"]))
        for model, entry in document["models"].items()
    }
    return Placements(tuple(devices.values()), models)


def providers(lease: Lease | None, available: Sequence[str]) -> list[Provider]:
    """Execution providers of a session, the preferred one first. Whatever has no kernel on a device runs on the CPU.

    Args:
        lease: of the model's device memory.
        available: what this build of ONNX Runtime offers.
    """
    if lease is None or not lease.real:
        return [CPU]
    if CUDA not in available:
        logger.warning("%s is there, but this ONNX Runtime has no %s: computing on the CPU", _name(lease), CUDA)
        return [CPU]
    options = {
        "device_id": str(lease.assignment.device.index),
        "gpu_mem_limit": str(lease.limit_bytes),
        "arena_extend_strategy": "kSameAsRequested",
    }
    return [(CUDA, options), CPU]


def order_by_bus() -> None:
    """Has CUDA count cards as NVML does; of effect only before CUDA is first used."""
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")


def settle(lease: Lease, wanted: Sequence[Provider], provider: str) -> None:
    """Notes what computes the session: ONNX Runtime goes over to the CPU when CUDA's libraries are missing."""
    lease.provider = provider
    if provider == CPU and wanted != [CPU]:
        logger.warning(
            "%s is there, but CUDA can't be used (ONNX Runtime says why): computing on the CPU", _name(lease)
        )


def _device(entry: Mapping[str, Any]) -> Device:
    basis = entry["basis"]
    if basis not in (REAL, EMULATED):
        raise ValueError(f"device {entry['name']!r} is {basis!r}; real or emulated is needed")
    return Device(
        name=str(entry["name"]),
        uuid=str(entry["uuid"]),
        product=str(entry["product"]),
        basis=basis,
        index=int(entry["index"]),
        memory_bytes=_bytes(entry["memory_bytes"]),
        profile=str(entry.get("profile", "")),
        reserved_bytes=_bytes(entry["reserved_bytes"]),
    )


def _bytes(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no number of bytes")
    return value


def _too_large(model: str, version: str, need: int, left: int, assignment: Assignment) -> str:
    device = assignment.device
    return (
        f"{model}:{version} needs {need} bytes of {device.basis} device {device.name}; of the "
        f"{assignment.memory_bytes} reserved for the model there, {max(left, 0)} are left"
    )


def _name(lease: Lease) -> str:
    device = lease.assignment.device
    return f"{device.product} ({device.uuid})"


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)
