"""How fast this machine is: ONNX Runtime alone, and single rows through a lab's gateway, one after another."""

from __future__ import annotations

import http.client
import json
import os
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from archlab.errors import ArchlabError, LabStateError
from archlab.experiments.intervals import of_repeats
from archlab.lab import records, scratch
from archlab.lab.asking import example
from archlab.lab.diagnosis import measure
from archlab.lab.lab import Lab
from archlab.spec.experiments import Calibration, Estimate
from archlab.spec.plan import Progress
from archlab.spec.scenario import Mode, Overrides

WARM_UP = 200
REQUESTS = 300
REPEATS = 6


def calibrate(lab: Lab | None, progress: Progress) -> Calibration:
    """Measure and keep it. The gateway is measured in a scratch lab, so that no lab sees these requests.

    Args:
        lab: one that was finished, running or not; without it only ONNX Runtime is measured.
        progress: told what happens.

    Raises:
        ConflictError: the lab's scratch lab is in use.
        TargetError: the scratch lab does not come up.
        LabStateError: the lab can have none.
    """
    if lab is not None:
        scratch.check_possible(lab)
    progress("calibrate", "ONNX Runtime")
    bare = measure()
    rate = p99 = None
    if lab is not None:
        with (
            scratch.reserved(lab, "doctor --calibrate"),
            scratch.running(lab, lab.declared.starts, Overrides(), progress) as made,
        ):
            progress("calibrate", f"{REPEATS} times {REQUESTS} requests through the gateway")
            rate, p99 = through_gateway(made)
    taken = Calibration(
        taken=datetime.now(UTC),
        cores=os.cpu_count() or 1,
        onnx_calls_per_s=bare["onnx_calls_per_s"],
        relative_speed=bare["relative_speed"],
        requests_per_s=rate,
        p99_ms=p99,
    )
    records.keep_calibration(taken)
    return taken


def needed(lab: Lab, progress: Progress) -> tuple[Calibration, Estimate]:
    """This machine's calibration and its rate through the gateway; taken now when that was never measured."""
    known = records.calibration()
    if known is None or known.requests_per_s is None:
        known = calibrate(lab, progress)
    if known.requests_per_s is None:
        raise ArchlabError("The calibration has no rate through the gateway.", "Run: archlab doctor --calibrate")
    return known, known.requests_per_s


def through_gateway(lab: Lab) -> tuple[Estimate, Estimate]:
    """(requests per second, p99 in milliseconds) of one caller that waits for each answer.

    Raises:
        LabStateError: the scenario has nothing online, or the gateway refuses.
    """
    name = next((m.name for m in lab.resolved.models if m.mode is Mode.ONLINE), None)
    if name is None:
        raise LabStateError(f"Scenario {lab.identity.scenario} has no online model to measure.")
    body = json.dumps(example(lab, name, [])).encode()
    headers = {"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"}
    address = urlsplit(lab.endpoints.gateway)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    try:
        runs = [
            _timed(connection, f"/v2/models/{name}/infer", body, headers, n) for n in (WARM_UP, *[REQUESTS] * REPEATS)
        ]
    finally:
        connection.close()
    counted = runs[1:]
    rates = [len(run) / sum(run) for run in counted]
    tails = [1000 * sorted(run)[-(-99 * len(run) // 100) - 1] for run in counted]
    return of_repeats(rates), of_repeats(tails)


def _timed(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str], count: int
) -> list[float]:
    """Seconds of each of so many requests, one after another."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        found.append(time.perf_counter() - began)
        if answer.status != http.client.OK:
            raise LabStateError(f"The gateway answers {answer.status}: {content[:200].decode(errors='replace')}")
    return found
