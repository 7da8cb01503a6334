"""The same closed loop over gRPC: requests are serialized once, answers are not parsed while the clock runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc
import grpc.aio
import numpy as np
import uvloop
from open_inference.grpc.protocol import ModelInferRequest, ModelInferResponse

from .client import AnswerError, Sample
from .wire import INPUT, Matrix

_METHOD = "/inference.GRPCInferenceService/ModelInfer"
_TIMEOUT_S = 30.0


def write(model: str, matrix: Matrix) -> bytes:
    """A serialized request with raw contents."""
    request = ModelInferRequest(model_name=model)
    request.inputs.add(name=INPUT, datatype="FP32", shape=matrix.shape)
    request.raw_input_contents.append(np.ascontiguousarray(matrix, dtype="<f4").tobytes())
    return request.SerializeToString()


def read(message: bytes) -> Matrix:
    """Predictions `[N, 1]` of a serialized response, raw or typed."""
    response = ModelInferResponse.FromString(message)
    if response.raw_output_contents:
        return np.frombuffer(response.raw_output_contents[0], dtype="<f4").reshape(-1, 1)
    return np.array(response.outputs[0].contents.fp32_contents, dtype=np.float32).reshape(-1, 1)


def load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    """A round of as many channels as `connections`, each asking again when it is answered.

    Raises:
        AnswerError: the server answered with an error.
    """
    return uvloop.run(_load(port, requests, connections, seconds))


def ask(port: int, request: bytes) -> bytes:
    """One serialized answer.

    Raises:
        AnswerError: as `load`.
    """
    return uvloop.run(_ask(port, request))


async def _load(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
    channels = [_channel(port) for _ in range(connections)]
    latencies: list[float] = []
    try:
        calls = [_call(channel) for channel in channels]
        await _together([call(requests[0]) for call in calls])
        started, worked = time.perf_counter(), time.process_time()
        until = started + seconds
        await _together([_loop(call, requests, i, until, latencies) for i, call in enumerate(calls)])
        elapsed, client_s = time.perf_counter() - started, time.process_time() - worked
        return Sample(len(latencies), elapsed, latencies, client_s)
    finally:
        for channel in channels:
            await channel.close()


async def _loop(
    call: Callable[[bytes], Awaitable[object]], requests: Sequence[bytes], first: int, until: float, us: list[float]
) -> None:
    number = first
    while (started := time.perf_counter()) < until:
        await call(requests[number % len(requests)])
        us.append((time.perf_counter() - started) * 1e6)
        number += 1


async def _ask(port: int, request: bytes) -> bytes:
    async with _channel(port) as channel:
        try:
            answer: bytes = await _call(channel)(request)
        except grpc.aio.AioRpcError as error:
            raise AnswerError(f"{error.code().name}: {error.details()}") from error
        return answer


async def _together(waiting: Sequence[Awaitable[object]]) -> None:
    try:
        await asyncio.gather(*waiting)
    except grpc.aio.AioRpcError as error:
        raise AnswerError(f"{error.code().name}: {error.details()}") from error


def _channel(port: int) -> grpc.aio.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)


def _call(channel: grpc.aio.Channel) -> Callable[[bytes], Awaitable[bytes]]:
    method: Callable[..., Awaitable[bytes]] = channel.unary_unary(_METHOD)

    async def call(request: bytes) -> bytes:
        return await method(request, timeout=_TIMEOUT_S)

    return call
