"""Answers inference requests, however they came: picks the model, puts its inputs together, computes, records."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from archlab_features.reader import Snapshot

from . import tensors
from .errors import BadRequestError, ServingError, TooManyRequestsError, UnavailableError
from .execution import Execution
from .features import Inputs, assemble, row_count
from .feed import Release
from .metering import Call
from .metrics import Metrics, ModelMetrics
from .prediction_log import PredictionLog, Record
from .protocol.messages import Answer, InferRequest, Output, Parameter
from .query import Query, deadline
from .repository import ServedModel
from .runtime import INPUT, PREDICTION, Matrix, OnnxModel, Table
from .settings import Settings
from .shares import Share, Shares
from .watcher import Watcher

logger = logging.getLogger("archlab_serving")

Keys = Mapping[str, Any]
Made = TypeVar("Made")
_NO_KEYS: Keys = {}
_NOTHING = np.empty(0, dtype=np.float32)


class Engine:
    """What every endpoint asks."""

    def __init__(self, settings: Settings, watcher: Watcher, metrics: Metrics, log: PredictionLog) -> None:
        self._settings = settings
        self._watcher = watcher
        self.shares: Shares = watcher.shares
        self._log = log
        self._execution = Execution(settings)
        self._unknown = ModelMetrics(metrics, "-", "-", "-")
        self._shadows = metrics.shadows
        self._prefix = f"{settings.unit}-{settings.replica}-{time.time_ns():x}-"
        self._numbers = itertools.count(1)
        places = self._execution.places
        metrics.in_flight.set_function(lambda: float(places.taken))

    def admit(self) -> None:
        """Counts a request in; `leave` counts it out.

        Raises:
            UnavailableError: as many as the server takes are being answered already.
        """
        try:
            self._execution.admit()
        except UnavailableError as error:
            self.refuse(error)
            raise

    def leave(self) -> None:
        """Counts a request out that `admit` let in."""
        self._execution.places.taken -= 1

    async def let_in(self, share: Share | None) -> None:
        """Counts a request in once its team has a place for it; `let_out` counts it out.

        Raises:
            TooManyRequestsError: the team's share is used up.
            UnavailableError: as `admit`.
        """
        if share is None:
            self.admit()
            return
        try:
            await share.enter()
        except TooManyRequestsError as error:
            self.refuse(error)
            raise
        try:
            self.admit()
        except UnavailableError:
            share.give_back()
            raise

    def let_out(self, share: Share | None) -> None:
        """Counts a request out, and its team's place."""
        self.leave()
        if share is not None:
            share.leave()

    def refuse(self, error: ServingError) -> None:
        """Counts a request that could not be read."""
        self._unknown.record(error.status, 0, 0)

    def close(self) -> None:
        """Ends the threads."""
        self._execution.close()

    def at_once(
        self,
        query: Query,
        parse: Callable[[], InferRequest],
        render: Callable[[Answer, InferRequest], Made],
        call: Call | None = None,
    ) -> Made | None:
        """One answer, where nothing has to be waited for; None, and nothing counted, where something has.

        That is a columnar model in memory whose inference is short and not batched, or that nobody else asks now:
        without coroutines and tasks most requests cost a third less.

        Raises:
            ServingError: the request can't be answered; it is counted already.
        """
        call = call or self.call()
        try:
            made = self._at_once(query, parse, render, call)
        except ServingError as error:
            self._failed(query, call, error)
            raise
        except Exception as error:
            raise self._unexpected(query, call, error) from error
        if made is not None:
            self._answered(query, call)
        return made

    async def infer(
        self, query: Query, parse: Callable[[], InferRequest], render: Callable[[Answer, InferRequest], Made]
    ) -> Made:
        """One answer, metered from here to the end of `render`.

        Raises:
            ServingError: the request can't be answered; it is counted already.
        """
        call = self.call()
        made = self.at_once(query, parse, render, call)
        if made is not None:
            return made
        try:
            made = await self._infer(query, parse, render, call)
        except ServingError as error:
            self._failed(query, call, error)
            raise
        except Exception as error:
            raise self._unexpected(query, call, error) from error
        self._answered(query, call)
        return made

    def call(self) -> Call:
        """A stop watch that runs; of no model yet."""
        return Call(self._unknown)

    def _answered(self, query: Query, call: Call) -> None:
        call.end(200)
        if query.shadow:
            self._shadows.labels(query.model, call.metrics.version, "200").inc()

    def _failed(self, query: Query, call: Call, error: ServingError) -> None:
        """Counts and records the failure."""
        call.end(error.status)
        self._record_failure(query, call, error.status)

    def _unexpected(self, query: Query, call: Call, error: Exception) -> ServingError:
        """Counts, records and logs it; returns what the caller is told."""
        logger.error("model %s could not answer", query.model, exc_info=error)
        told = ServingError(f"model {query.model!r}: {type(error).__name__} in the server: {error}")
        self._failed(query, call, told)
        return told

    def _at_once(
        self,
        query: Query,
        parse: Callable[[], InferRequest],
        render: Callable[[Answer, InferRequest], Made],
        call: Call,
    ) -> Made | None:
        watcher = self._watcher
        loaded, snapshot = watcher.loaded, watcher.snapshot
        if loaded.sequence < query.min_feed or snapshot.sequence < query.min_snapshot:
            return None
        served = loaded.find(query.model, query.version)
        if served is None:
            return None
        file, release = served.file, served.release
        backend = file.backend
        if type(backend) is not OnnxModel or not release.columns or not self._execution.may_run_at_once(backend):
            return None
        call.metrics = served.metrics
        with file:
            call.request = request = parse()
            if request.raw is not None:
                return None
            parameters = _provenance(release, snapshot.sequence)
            inputs = self._assembled(served, request, parameters)
            if not self._execution.take_at_once(backend, len(inputs.matrix), call.metrics.tally):
                return None
            outputs = [Output(PREDICTION.name, PREDICTION.datatype, backend.predict(inputs.matrix))]
            return self._rendered(query, request, release, parameters, outputs, inputs.keys, snapshot, render, call)

    async def _infer(
        self,
        query: Query,
        parse: Callable[[], InferRequest],
        render: Callable[[Answer, InferRequest], Made],
        call: Call,
    ) -> Made:
        watcher = self._watcher
        if watcher.loaded.sequence < query.min_feed or watcher.snapshot.sequence < query.min_snapshot:
            await self._catch_up(query, call)
        served = watcher.loaded.find(query.model, query.version) or await self._find_again(query, call)
        call.metrics = served.metrics
        with served.file:
            if served.file.backend is None:
                await self._load(served, call)
            return await self._answer(served, query, call.request or parse(), render, call)

    async def _load(self, served: ServedModel, call: Call) -> None:
        call.pause()
        try:
            await self._watcher.residency.load(served.file)
        finally:
            call.resume()

    async def _answer(
        self,
        served: ServedModel,
        query: Query,
        request: InferRequest,
        render: Callable[[Answer, InferRequest], Made],
        call: Call,
    ) -> Made:
        if request.raw is not None:
            request = tensors.described(request, (await self._watcher.residency.describe(served.file)).inputs)
        release, backend, snapshot = served.release, served.backend, self._watcher.snapshot
        parameters = _provenance(release, snapshot.sequence)
        if isinstance(backend, Table):
            outputs, keys = self._look_up(served, backend, request, parameters)
        elif release.columns:
            inputs = self._assembled(served, request, parameters)
            keys = inputs.keys
            if self._execution.is_direct(backend, len(inputs.matrix)):
                prediction = backend.predict(inputs.matrix)
            else:
                prediction = await self._predict(backend, inputs.matrix, query, request, call)
            outputs = [Output(PREDICTION.name, PREDICTION.datatype, prediction)]
        else:
            outputs, keys = await self._ask_tensors(backend, query, request, call), _NO_KEYS
        return self._rendered(query, request, release, parameters, outputs, keys, snapshot, render, call)

    def _rendered(
        self,
        query: Query,
        request: InferRequest,
        release: Release,
        parameters: dict[str, Parameter],
        outputs: list[Output],
        keys: Keys,
        snapshot: Snapshot,
        render: Callable[[Answer, InferRequest], Made],
        call: Call,
    ) -> Made:
        """The answer in its caller's form; the prediction log gets its line."""
        name = request.id or query.request_id
        answer = Answer(release.model, release.version, name, outputs, parameters, release.notices)
        made = render(answer, request)
        self._log.append(
            Record(
                time.time(),
                answer.id or self._made_up_id(),
                release.model,
                release.version,
                release.id,
                snapshot.sequence,
                keys,
                outputs[0].array,
                call.elapsed_us(),
                query.shadow,
                query.request_id,
            )
        )
        return made

    async def _catch_up(self, query: Query, call: Call) -> None:
        call.pause()
        try:
            await self._watcher.catch_up(query.min_feed, query.min_snapshot)
        finally:
            call.resume()

    async def _find_again(self, query: Query, call: Call) -> ServedModel:
        """A name that isn't known yet may stand in a feed that is a moment old."""
        call.pause()
        try:
            await self._watcher.refresh()
        finally:
            call.resume()
        return self._watcher.loaded.select(query.model, query.version)

    def _look_up(
        self, served: ServedModel, table: Table, request: InferRequest, parameters: dict[str, Parameter]
    ) -> tuple[list[Output], Keys]:
        """A table's answers; columns that an online version of the model would take are passed over."""
        if request.outputs:
            tensors.check_outputs(request, (PREDICTION,))
        keys, prediction = _look_up(served, table, request, self._settings.max_rows)
        parameters["features_as_of"] = table.business_time
        return [Output(PREDICTION.name, PREDICTION.datatype, prediction)], keys

    def _assembled(self, served: ServedModel, request: InferRequest, parameters: dict[str, Parameter]) -> Inputs:
        """A columnar model's matrix; features that the request leaves out are looked up."""
        if request.outputs:
            tensors.check_outputs(request, (PREDICTION,))
        binding = served.binding(self._watcher.snapshot)
        if binding.absent:
            where = f"region {self._settings.region}"
            raise UnavailableError(f"features of {served.release.model} have not arrived in {where}: {binding.absent}")
        inputs = assemble(binding, request.inputs, self._settings.max_rows)
        if inputs.as_of:
            parameters["features_as_of"] = inputs.as_of
        if binding.missing:
            parameters["features_missing"] = binding.missing
        return inputs

    async def _predict(
        self, model: OnnxModel, matrix: Matrix, query: Query, request: InferRequest, call: Call
    ) -> Matrix:
        """A columnar model's predictions `[N, 1]`, which may have to wait."""
        until = deadline(query, request)
        (array,) = await self._execution.run(model, {INPUT: matrix}, len(matrix), call, until, query.gone)
        return array.reshape(-1, 1)

    async def _ask_tensors(self, model: OnnxModel, query: Query, request: InferRequest, call: Call) -> list[Output]:
        """A tensor model's own inputs and outputs."""
        tensors.check_outputs(request, model.outputs)
        feeds = tensors.feeds(model.inputs, request.inputs)
        rows = tensors.row_count(feeds)
        arrays = await self._execution.run(model, feeds, rows, call, deadline(query, request), query.gone)
        return tensors.chosen(request, model.outputs, arrays)

    def _made_up_id(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"

    def _record_failure(self, query: Query, call: Call, status: int) -> None:
        """What a loaded model could not answer, and every copy: which version fails is what a canary is there to tell.

        Requests for unknown names leave no record: anybody could fill the disk with them.
        """
        known = call.metrics is not self._unknown
        if not known and not query.shadow:
            return
        version = call.metrics.version if known else query.version
        if query.shadow:
            self._shadows.labels(query.model, version, str(status)).inc()
        self._log.append(
            Record(
                wall_s=time.time(),
                request_id=query.request_id or self._made_up_id(),
                model=query.model,
                version=version,
                release="",
                snapshot=0,
                keys={},
                prediction=_NOTHING,
                us=call.elapsed_us(),
                shadow=query.shadow,
                correlation_id=query.request_id,
                status=status,
            )
        )


def _provenance(release: Release, snapshot: int) -> dict[str, Parameter]:
    """What every answer says of where it comes from."""
    return {"model_version": release.version, "release": release.id, "snapshot": snapshot}


def _look_up(
    served: ServedModel, table: Table, request: InferRequest, max_rows: int
) -> tuple[Keys, NDArray[np.float32]]:
    """The table's answers; columns that an online version of the model would take are passed over."""
    given = request.inputs
    known = {*served.release.keys, *served.release.table_keys, *(column.name for column in served.release.columns)}
    for name, tensor in given.items():
        if name not in known:
            raise BadRequestError(f"tensor {name!r} is unknown; this table is asked by {', '.join(table.keys)}")
        if name in table.keys and tensor.datatype != "BYTES":
            raise BadRequestError(f"tensor {name!r} has datatype {tensor.datatype}; keys are BYTES")
    for name in table.keys:
        if name not in given:
            raise BadRequestError(f"tensor {name!r} is missing; this table is asked by {', '.join(table.keys)}")
    row_count(given, max_rows)
    keys = {name: given[name].texts for name in table.keys}
    return keys, table.look_up(list(keys.values()))
