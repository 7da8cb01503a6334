"""Keeps asking one model over several connections, in a process of its own, until its input ends.

Every answer must be right for the version that it names: for zeros, a model's version 7 answers 7.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROWS, WIDTH = 3, 5
ZEROS = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [ROWS, WIDTH], "data": [0.0] * WIDTH * ROWS}]}


@dataclass
class Seen:
    """What came back: how often what, `REST` and `gRPC` for good answers; and how long each took."""

    answers: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Asked:
    """What is asked, and how often: `rest` and `grpc` connections that each pause after an answer."""

    model: str
    socket: str
    grpc_address: str = ""
    rest: int = 3
    grpc: int = 0
    pause_s: float = 0.0


@contextmanager
def asking(
    model: str, socket: Path, *, address: str = "", rest: int = 3, grpc: int = 0, pause_s: float = 0.0
) -> Iterator[Seen]:
    """Asks all the time; what was seen is there when the block has ended."""
    asked = Asked(model, str(socket), address, rest, grpc, pause_s)
    command = [sys.executable, __file__, json.dumps(asdict(asked))]
    seen = Seen()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "asking\n"
            yield seen
            found = json.loads(process.communicate(timeout=60)[0])
            seen.answers, seen.latencies_ms = found["answers"], found["latencies_ms"]
        finally:
            process.kill()


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many percent don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def _over_rest(asked: Asked, done: asyncio.Event, answers: Counter[str], latencies_ms: list[float]) -> None:
    import aiohttp

    connector = aiohttp.UnixConnector(asked.socket)
    async with aiohttp.ClientSession(connector=connector) as session:
        while not done.is_set():
            started = time.perf_counter()
            async with session.post(f"http://x/v2/models/{asked.model}/infer", json=ZEROS) as reply:
                status, text = reply.status, await reply.text()
            latencies_ms.append((time.perf_counter() - started) * 1000)
            document = json.loads(text) if status == 200 else {}
            right = status == 200 and _is_right(document["model_version"], document["outputs"][0]["data"])
            answers["REST" if right else f"{status} {text}"] += 1
            await asyncio.sleep(asked.pause_s)


async def _over_grpc(asked: Asked, done: asyncio.Event, answers: Counter[str]) -> None:
    """An unmodified Triton client."""
    import numpy as np
    import tritonclient.grpc.aio as triton
    from tritonclient.utils import InferenceServerException

    tensor = triton.InferInput("features", [ROWS, WIDTH], "FP32")
    tensor.set_data_from_numpy(np.zeros((ROWS, WIDTH), dtype=np.float32))
    async with triton.InferenceServerClient(asked.grpc_address) as client:
        while not done.is_set():
            try:
                result = await client.infer(asked.model, [tensor])
            except InferenceServerException as error:
                answers[repr(error)] += 1
                continue
            version, data = result.get_response().model_version, result.as_numpy("prediction").ravel().tolist()
            answers["gRPC" if _is_right(version, data) else f"{version}: {data}"] += 1


def _is_right(version: str, data: list[float]) -> bool:
    return data == [float(version)] * ROWS


async def _main(asked: Asked) -> None:
    done, answers = asyncio.Event(), Counter[str]()
    latencies_ms: list[float] = []
    callers = [_over_rest(asked, done, answers, latencies_ms) for _ in range(asked.rest)]
    callers += [_over_grpc(asked, done, answers) for _ in range(asked.grpc)]
    tasks = [asyncio.ensure_future(caller) for caller in callers]
    print("asking", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    done.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    answers.update(repr(error) for error in ended if error is not None)
    print(json.dumps(asdict(Seen(dict(answers), latencies_ms))))


if __name__ == "__main__":
    asyncio.run(_main(Asked(**json.loads(sys.argv[1]))))
