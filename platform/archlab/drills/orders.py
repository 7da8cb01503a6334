"""What people do in a drill, from a second terminal: look, declare an outage, order a failover or a restore.

The drill listens on a unix socket: one line of JSON in, one out. It takes the time when an order arrives.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from archlab.drills import models, records
from archlab.drills.failover import failover
from archlab.drills.measure import DECIDED, DECLARED, ORDERED
from archlab.drills.policy import restart_engine
from archlab.drills.region import REGIONS
from archlab.drills.restoring import restore_before_mistake
from archlab.drills.rollback import roll_back
from archlab.drills.testbed import Testbed
from archlab.errors import ArchlabError, ConflictError, LabStateError
from archlab.recovery.runbook import Done
from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.drill import Recovery

SOCKET = "orders"
PATIENCE_S = 120.0
LOOK_S = 1.0
REFUSED = "refused"


class What(StrEnum):
    """What is ordered."""

    LOOK = "look"
    DECLARE = "declare"
    FAILOVER = "failover"
    RESTORE = "restore"
    ROLLBACK = "rollback"
    RESTART = "restart"


class Order(Spec):
    """One order."""

    what: What
    accept_data_loss: bool = False


class Answer(Spec):
    """What came of it."""

    done: bool
    said: tuple[str, ...]
    remedy: str = ""


def give(order: Order) -> tuple[str, ...]:
    """Order something of the drill that runs; what it says.

    Raises:
        LabStateError: none runs, or it takes no orders any more.
        ConflictError: it refuses; carries why.
    """
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(PATIENCE_S)
            asked.connect(str(_place(LabFolder(records.testbed_root()))))
            asked.sendall(order.model_dump_json().encode() + b"\n")
            with asked.makefile("rb") as file:
                answer = Answer.model_validate_json(file.readline())
    except (OSError, ValidationError):
        raise LabStateError(
            "No drill waits for anybody here.", "Start one: archlab drill run --surprise CODE --recovery manual"
        ) from None
    if not answer.done:
        raise ConflictError(" ".join(answer.said), answer.remedy)
    return answer.said


def _place(folder: LabFolder) -> Path:
    return folder.socket(SOCKET)


class Desk:
    """Takes orders while a drill runs."""

    def __init__(self, testbed: Testbed) -> None:
        self.acted = threading.Event()
        """Whether somebody has failed over or restored."""
        self._testbed = testbed
        self._one_at_a_time = threading.Lock()
        self._closed = False
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def open(self) -> None:
        """Take orders from now on."""
        desk = self

        class Handler(socketserver.StreamRequestHandler):
            """One order."""

            timeout = 5

            def handle(self) -> None:
                """Carry it out and answer."""
                try:
                    answer = desk.carry_out(Order.model_validate_json(self.rfile.readline()))
                except ValidationError:
                    answer = Answer(done=False, said=("That is no order.",))
                self.wfile.write(answer.model_dump_json().encode() + b"\n")

        place = _place(self._testbed.folder)
        self._server = socketserver.ThreadingUnixStreamServer(str(place), Handler)
        self._server.daemon_threads = True
        place.chmod(0o600)
        threading.Thread(target=self._server.serve_forever, name="orders", daemon=True).start()

    def close(self) -> None:
        """Take no more orders; returns when one that is being carried out is done. May be called again."""
        with self._one_at_a_time:
            self._closed = True
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def carry_out(self, order: Order) -> Answer:
        """Do what is ordered."""
        arrived = time.monotonic()
        try:
            if order.what is What.LOOK:
                return Answer(done=True, said=look(self._testbed))
            if order.what is What.DECLARE:
                self._declare("an outage is declared", arrived)
                return Answer(done=True, said=("Noted.",))
            with self._one_at_a_time:
                return Answer(done=True, said=self._act(order, arrived))
        except ArchlabError as error:
            return Answer(done=False, said=(error.message,), remedy=error.remedy)

    def _declare(self, detail: str, at: float) -> None:
        self._testbed.note(DECLARED, detail, at)

    def _act(self, order: Order, arrived: float) -> tuple[str, ...]:
        testbed = self._testbed
        if self._closed:
            raise LabStateError("The drill is over: it puts everything back.")
        if testbed.posture.recovery is not Recovery.MANUAL:
            raise ConflictError(
                f"Recovery is {testbed.posture.recovery.value} in this drill: nobody takes orders.",
                "Begin one with: --recovery manual",
            )
        if order.what is What.FAILOVER and testbed.primary != REGIONS[0]:
            raise ConflictError(f"{testbed.primary} has taken over already.")
        if not any(e.name == DECLARED for e in testbed.events):
            self._declare("by ordering something", arrived)
        testbed.note(ORDERED, order.what.value, arrived)
        testbed.note(DECIDED, f"by hand: {order.what.value}", arrived)
        self.acted.set()
        return tuple(f"{d.step}: {d.said} ({d.seconds:.2f} s)" for d in self._carry_out(order))

    def _carry_out(self, order: Order) -> tuple[Done, ...]:
        testbed = self._testbed
        try:
            if order.what is What.RESTORE:
                done = restore_before_mistake(testbed)
                testbed.restored.set()
                return done
            if order.what is What.ROLLBACK:
                return roll_back(testbed)
            if order.what is What.RESTART:
                return restart_engine(testbed)
            return failover(testbed, accept_data_loss=order.accept_data_loss or testbed.posture.accept_data_loss)
        except ArchlabError as error:
            testbed.note(REFUSED, str(error))
            raise


def look(testbed: Testbed) -> tuple[str, ...]:
    """What anybody can see from outside, and what each region says of itself."""
    began = time.monotonic()
    through = "a write and a read are answered" if testbed.answers() else "a write or a read is not answered"
    took = 1000 * (time.monotonic() - began)
    return (
        f"gateway {testbed.base}: {through}, after {took:.0f} ms",
        *(f"{name}: {testbed.regions[name].says()}" for name in REGIONS),
        *_predictions(testbed),
        *_changes(testbed),
    )


def _predictions(testbed: Testbed) -> Iterator[str]:
    """What the model answers to whom asks now, and which regions serve it."""
    if testbed.models is None:
        return
    questions = models.questions()
    for question, said in zip(questions, models.ask(testbed.base, questions, LOOK_S), strict=True):
        asked = ", ".join(f"{i['name']} {i['data'][0]:g}" for i in question.body["inputs"])
        yield f"{models.MODEL} of {asked}: {'no answer' if said is None else f'{said:g}'}"
    for name in REGIONS:
        has = "serves" if models.serves(testbed.models.regions[name]) else "has no"
        yield f"{name}: its server {has} {models.MODEL}"


def _changes(testbed: Testbed) -> Iterator[str]:
    """What the gate says to somebody who promotes a version now."""
    if testbed.control is None:
        return
    try:
        testbed.control.promote(testbed.base)
    except ArchlabError as error:
        yield f"registry: a promotion is refused. {error.message}"
    else:
        yield "registry: a promotion is decided and carried out"
