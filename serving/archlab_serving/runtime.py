"""What answers for a release: an ONNX Runtime session, or a table that a batch run left.

A session is asked in one of two ways. A release with columns keeps the columnar contract: one input `features` float32
`[N, F]`, one output `prediction` float32 `[N, 1]`. A release without columns is a tensor model: its graph's own inputs
and outputs, of any datatype that the protocol has.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime as ort
import orjson
from numpy.typing import NDArray

from .costs import Clock, Cost, measure
from .devices import CPU, CUDA, Lease, Provider, order_by_bus, providers, settle
from .errors import RefusedReleaseError, UnknownModelError
from .feed import Release
from .model_source import loadable
from .protocol.datatypes import BY_ONNX

if TYPE_CHECKING:
    from .lanes import Lane

INPUT, OUTPUT = "features", "prediction"
TABLE_FORMAT = "archlab/table/v1"
KEY_SEPARATOR = "|"

Matrix = NDArray[np.float32]


class TensorSpec(NamedTuple):
    """An input or output of a graph; -1 in `shape` is an extent that requests choose."""

    name: str
    datatype: str
    shape: tuple[int, ...]


PREDICTION = TensorSpec(OUTPUT, "FP32", (-1, 1))


class OnnxModel:
    """A loaded ONNX graph.

    Args:
        data: the file.
        columns: width of the input matrix of the columnar contract; 0 for a tensor model.
        threads: ONNX Runtime's intra-op threads.
        inline_ms: longest inference that may keep the event loop's thread.
        lease: its device memory; None for a model that is on no device.

    Raises:
        RefusedReleaseError: the graph doesn't keep the contract, or has tensors that the protocol can't carry.
    """

    __slots__ = (
        *("_names", "_run", "_session", "batching_gains", "cost", "inline_rows", "inputs"),
        *("lane", "lease", "outputs"),
    )

    def __init__(
        self, data: bytes, columns: int, *, threads: int, inline_ms: float, lease: Lease | None = None
    ) -> None:
        wanted = providers(lease, ort.get_available_providers() if lease else ())
        self._session = _session(data, threads, wanted)
        self.lease = lease
        on_cpu = self._session.get_providers()[0] != CUDA
        # The session's own method goes over every input again, which takes half as long as a small graph's run, and on
        # a device tries the CPU when that fails.
        self._run = getattr(self._session, "_sess", self._session).run if on_cpu else self._session.run
        self.inputs = tuple(_spec(node) for node in self._session.get_inputs())
        self.outputs = tuple(_spec(node) for node in self._session.get_outputs())
        if columns:
            _check_contract(self, columns)
            self.outputs = (PREDICTION,)
        self._names = [output.name for output in self.outputs]
        self.cost = self._measure(columns, time.thread_time if on_cpu and threads == 1 else time.perf_counter)
        self.batching_gains = self.cost.batching_gains
        self.inline_rows = self.cost.inline_rows(inline_ms)
        """Most rows whose inference is short enough for the event loop's thread; 0 when that isn't known."""
        self.lane: Lane | None = None
        """Its queue, once it needs one."""
        if lease is not None:
            settle(lease, wanted, self._session.get_providers()[0])
            if columns and lease.provider == CUDA:
                lease.nodes = _profiled(data, wanted, columns)

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs in their order, for one array per input."""
        arrays: list[NDArray[Any]] = self._run(self._names, feeds, None)
        return arrays

    def predict(self, matrix: Matrix) -> NDArray[np.float32]:
        """Predictions `[N, 1]` of a columnar model for a matrix `[N, F]`."""
        prediction: NDArray[np.float32] = self._run(self._names, {INPUT: matrix}, None)[0]
        return prediction if prediction.ndim == 2 else prediction.reshape(-1, 1)

    def _measure(self, columns: int, clock: Clock) -> Cost:
        if not columns:
            return measure(self.run, self.inputs, self.outputs, clock)
        for rows in (1, 2):
            found = self.predict(np.zeros((rows, columns), dtype=np.float32)).shape
            if found != (rows, 1):
                raise RefusedReleaseError("contract", f"{rows} rows gave a prediction of shape {found}")
        return measure(self.run, [TensorSpec(INPUT, "FP32", (-1, columns))], self.outputs, clock)


@dataclass(frozen=True, slots=True)
class Table:
    """Answers of one batch run, by key."""

    run: str
    business_time: str
    keys: tuple[str, ...]
    rows: Mapping[str, float | None]

    def look_up(self, columns: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Predictions `[N, 1]` for the keys' values, one sequence per key.

        Raises:
            UnknownModelError: the run answered no such row; names it.
        """
        wanted = (
            columns[0] if len(columns) == 1 else [KEY_SEPARATOR.join(parts) for parts in zip(*columns, strict=True)]
        )
        try:
            return np.array([[self.rows[key]] for key in wanted], dtype=np.float32)
        except KeyError as error:
            raise UnknownModelError(f"batch run {self.run} has no row for {'|'.join(self.keys)} = {error}") from error


def load_onnx(
    release: Release, data: bytes, *, threads: int, inline_ms: float, lease: Lease | None = None
) -> OnnxModel:
    """The session of a verified file.

    Raises:
        RefusedReleaseError: ONNX Runtime can't load or run it, or it doesn't keep the contract.
    """
    try:
        return OnnxModel(data, len(release.columns), threads=threads, inline_ms=inline_ms, lease=lease)
    except RefusedReleaseError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions share no base of their own
        raise RefusedReleaseError("contract", f"ONNX Runtime refuses {release.id}: {error}") from error


def load_table(release: Release, data: bytes) -> Table:
    """The table in a verified file.

    Raises:
        RefusedReleaseError: it is not a table, or another model's.
    """
    try:
        document: dict[str, Any] = orjson.loads(data)
        found = (document["format"], document["model"], document["version"], tuple(document["keys"]))
        _check_table(found, (TABLE_FORMAT, release.model, release.version, release.table_keys))
        rows = document["rows"]
        np.array(list(rows.values()), dtype=np.float32)
        return Table(str(document["run"]), str(document["business_time"]), release.table_keys, rows)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedReleaseError("contract", f"table {release.id}: {error!r}") from error


def _check_table(found: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    if found != expected:
        raise ValueError(f"holds {found}, expected {expected}")


def _session(data: bytes, threads: int, wanted: Sequence[Provider]) -> ort.InferenceSession:
    if wanted != [CPU]:
        order_by_bus()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with loadable(data) as source:
        return ort.InferenceSession(source, options, providers=list(wanted))


def _profiled(data: bytes, wanted: Sequence[Provider], columns: int) -> dict[str, int]:
    from .device_profile import node_providers, one_row

    return node_providers(data, wanted, {INPUT: one_row(columns)})


def _spec(node: Any) -> TensorSpec:
    datatype = BY_ONNX.get(node.type)
    if datatype is None:
        raise RefusedReleaseError("contract", f"{node.name!r} is a {node.type}, which the protocol has no datatype for")
    return TensorSpec(node.name, datatype.name, tuple(n if isinstance(n, int) and n >= 0 else -1 for n in node.shape))


def _check_contract(model: OnnxModel, columns: int) -> None:
    inputs = [(spec.name, spec.datatype, len(spec.shape)) for spec in model.inputs]
    outputs = [(spec.name, spec.datatype) for spec in model.outputs]
    if inputs != [(INPUT, "FP32", 2)] or (OUTPUT, "FP32") not in outputs:
        raise RefusedReleaseError(
            "contract", f"inputs are {inputs}, outputs {outputs}; docs/interfaces.md has the contract"
        )
    width = model.inputs[0].shape[1]
    if width not in (-1, columns):
        raise RefusedReleaseError("contract", f"the graph takes {width} columns, the release names {columns}")
