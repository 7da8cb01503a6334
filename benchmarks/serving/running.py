"""Contenders that run: started, timed to their first answer, and held to ONNX Runtime's own predictions."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from . import client, grpc_client
from .client import AnswerError, Sample
from .contenders import MODEL, Contender, Site
from .environments import Environment, NotBuiltError, ensure, own
from .machine import Cores
from .models import BenchmarkModel, rows
from .processes import NotStartedError, Server, free_port
from .wire import Matrix, post

TOLERANCE = 1e-5
DISTINCT_REQUESTS = 32
"""Requests that connections send in turn, each with rows of its own."""
GRPC = "grpc"

Say = Callable[[str], None]


class WrongAnswerError(Exception):
    """A server's predictions are not the model's."""


@dataclass
class Runner:
    """One contender of a run; `problem` says why it isn't measured, by transport or (under "") at all."""

    contender: Contender
    site: Site
    server: Server
    start_s: list[float] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    def transports(self) -> list[str]:
        """`json`, and `binary` and `grpc` where it has them."""
        return [*self.contender.formats, *([GRPC] if self.contender.grpc else [])]

    def requests(self, transport: str, number: int, count: int = DISTINCT_REQUESTS) -> list[bytes]:
        """Whole requests of `number` rows each."""
        return [self._request(transport, rows(number, seed)) for seed in range(count)]

    def _request(self, transport: str, matrix: Matrix) -> bytes:
        if transport == GRPC:
            return grpc_client.write(MODEL, matrix)
        headers, body = self.contender.formats[transport].write(matrix)
        return post(self.contender.path, f"127.0.0.1:{self.site.port}", headers, body)

    def load(self, transport: str, requests: Sequence[bytes], connections: int, seconds: float) -> Sample:
        """One round."""
        if transport == GRPC:
            return grpc_client.load(self.site.grpc_port, requests, connections, seconds)
        return client.load(self.site.port, requests, connections, seconds)

    def predict(self, transport: str, matrix: Matrix) -> Matrix:
        """The server's predictions."""
        request = self._request(transport, matrix)
        if transport == GRPC:
            return grpc_client.read(grpc_client.ask(self.site.grpc_port, request))
        answer = client.ask(self.site.port, request)
        return self.contender.formats[transport].read(answer.headers, answer.body)

    def answers(self) -> bool:
        """Whether it answers a row in JSON yet."""
        try:
            self.predict("json", rows(1))
        except (OSError, AnswerError):
            return False
        return True

    def verify(self, transport: str, sizes: Iterable[int]) -> None:
        """Compares with ONNX Runtime in this process.

        Raises:
            WrongAnswerError: a prediction is off by more than `TOLERANCE`.
        """
        for size in sizes:
            matrix = rows(size, seed=100 + size)
            expected = self.site.model.predict(matrix)
            found = self.predict(transport, matrix)
            if found.shape != expected.shape or not np.allclose(found, expected, rtol=0, atol=TOLERANCE):
                worst = np.abs(found - expected).max() if found.shape == expected.shape else f"shape {found.shape}"
                raise WrongAnswerError(f"{size} rows over {transport} differ from ONNX Runtime's answer: {worst}")


@dataclass
class Field:
    """Everybody of one model's run, and those who are not in it with the reason."""

    runners: list[Runner] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def start(
    contenders: Sequence[Contender], model: BenchmarkModel, folder: Path, cores: Cores, starts: int, say: Say
) -> Iterator[Field]:
    """Starts everybody one after the other, `starts` times each; who fails is absent and the others go on."""
    running = Field()
    try:
        for number, contender in enumerate(contenders):
            try:
                environment = ensure(contender.environment, say) if contender.environment else own()
            except NotBuiltError as error:
                running.absent[contender.name] = f"not built: {error}"
                continue
            place = folder / f"{model.name}-{number}"
            runner = _start(contender, environment, model, place, cores, starts)
            if isinstance(runner, str):
                running.absent[contender.name] = runner
                say(f"{contender.name}: {runner}")
                continue
            running.runners.append(runner)
            say(f"{contender.name} answers after {statistics.median(runner.start_s):.2f} s")
        yield running
    finally:
        for runner in running.runners:
            runner.server.stop()


def _start(
    contender: Contender, environment: Environment, model: BenchmarkModel, place: Path, cores: Cores, starts: int
) -> Runner | str:
    seconds: list[float] = []
    for attempt in range(starts):
        folder = place / str(attempt)
        folder.mkdir(parents=True)
        site = Site(folder, model, environment, free_port(), free_port())
        runner = Runner(contender, site, Server(contender.launch(site), folder / "server.log", cores.server), seconds)
        try:
            seconds.append(runner.server.wait(runner.answers))
        except NotStartedError as error:
            runner.server.stop()
            return f"not started: {error}"
        except BaseException:
            runner.server.stop()
            raise
        if attempt < starts - 1:
            runner.server.stop()
    return runner


def verify(running: Field, sizes: Sequence[int], transports: Sequence[str], say: Say) -> None:
    """Holds everybody to the model; a transport that fails is noted as the runner's problem and not measured.

    Raises:
        WrongAnswerError: somebody gives other predictions; nothing of the run would mean anything.
    """
    for runner in running.runners:
        for transport in transports:
            if transport not in runner.transports():
                continue
            try:
                runner.verify(transport, sizes)
            except (OSError, AnswerError) as error:
                runner.problems[transport] = f"{transport}: {' '.join(str(error).split())[:300]}"
                say(f"{runner.contender.name}: {runner.problems[transport]}")
