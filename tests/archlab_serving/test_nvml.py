from __future__ import annotations

import time

import pytest

from archlab_serving.nvml import Gpu, GpuSlice, gpus
from nvml import Card, Library


def test_without_a_driver_there_are_no_devices_and_it_is_known_at_once() -> None:
    library = Library([Card()], driver=False)
    started = time.perf_counter()
    assert gpus(lambda: library) == ()
    assert gpus(lambda: None) == ()
    assert time.perf_counter() - started < 10
    assert (library.opened, library.closed) == (0, 0)


def test_a_card_as_the_driver_reports_it() -> None:
    library = Library([Card(), Card(name="NVIDIA T4", uuid="GPU-2", rates=None, milliwatts=None)])
    first, second = gpus(lambda: library)
    assert first == Gpu(
        index=0,
        uuid="GPU-1",
        product="NVIDIA L4",
        memory_bytes=24_152_899_584,
        used_bytes=500_000_000,
        free_bytes=23_652_899_584,
        gpu_percent=37,
        copy_percent=12,
        power_w=28.5,
    )
    assert (second.index, second.uuid, second.gpu_percent, second.copy_percent, second.power_w) == (
        1,
        "GPU-2",
        None,
        None,
        None,
    )
    assert (library.opened, library.closed) == (1, 1)


def test_slices_that_are_set_up() -> None:
    parts = [Card(name="NVIDIA A100-PCIE-40GB MIG 1g.5gb", uuid=f"MIG-{n}", total=5_100_273_664) for n in range(2)]
    (card,) = gpus(lambda: Library([Card(name="NVIDIA A100-PCIE-40GB", slices=parts, mig=True)]))
    assert card.slices == (
        GpuSlice("MIG-0", "1g.5gb", 5_100_273_664),
        GpuSlice("MIG-1", "1g.5gb", 5_100_273_664),
    )
    (plain,) = gpus(lambda: Library([Card(slices=parts, mig=False)]))
    assert plain.slices == ()


def test_the_library_is_closed_after_a_failure() -> None:
    class Broken(Library):
        def nvmlDeviceGetUUID(self, card: Card) -> str:  # noqa: N802
            raise self.NVMLError("GPU is lost")

    library = Broken([Card()])
    assert gpus(lambda: library) == ()
    assert (library.opened, library.closed) == (1, 1)


def test_the_bindings_that_are_installed_have_what_is_called() -> None:
    pynvml = pytest.importorskip("pynvml")
    names = [name for name in dir(Library) if name.startswith(("nvml", "NVML"))]
    assert len(names) > 10
    assert [name for name in names if not hasattr(pynvml, name)] == []
    found = gpus()
    assert [gpu.index for gpu in found] == list(range(len(found)))
