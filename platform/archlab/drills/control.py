"""A gate for a drill, as a lab runs it: MLflow inside the registry's gate, control with the log of decisions.

Rules are decided in a process of their own, so that it can die without the gate: the gate asks it as it asks an OPA
server. Where the program `opa` is on the path it is one; otherwise `archlab.drills.engine`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx

from archlab import identity
from archlab.drills.models import COLUMNS
from archlab.errors import RefusedError, TargetError, UnavailableError
from archlab.files import write_atomic, write_model
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.resolve import resolve
from archlab.policy.bundle import publish
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.drill import Change
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import Overrides, Scenario
from archlab.targets import commands, ports
from archlab.targets.commands import Command
from archlab.targets.readiness import probe

ENGINE, REGISTRY, CONTROL, CANDIDATE = "policy-engine", "registry", "control", "candidate"
START_S = 150.0
"""How long MLflow may take to start, or a version to be registered."""
SEED = 1
CHAMPION = "champion"
API = "/mlflow/api/2.0/mlflow"
UNREACHABLE = "engine_unreachable"
PROMOTION_S = 10.0
"""How long a promotion may take: it asks MLflow, control and the policy engine."""


@dataclass(slots=True)
class ControlPlane:
    """Registry, control and policy engine of a testbed.

    Args:
        lab: the testbed's folder, laid out as a lab's.
        engine_port: where the policy engine listens on the loopback interface.
        scenario: whose first model is promoted.
    """

    lab: LabFolder
    engine_port: int
    scenario: Scenario
    version: str = ""
    """Of the model that is promoted; empty before it is registered."""
    engine_up: datetime | None = None
    """When the policy engine was started last."""

    @classmethod
    def lay_out(cls, lab: LabFolder, engine_port: int) -> ControlPlane:
        """Names and places; nothing is written or started."""
        declared = load_scenario(scenarios_root() / "disaster_recovery" / "scenario.yaml")
        return cls(lab, engine_port, resolve(declared, SEED)[0])

    @property
    def model(self) -> str:
        """The model that is promoted."""
        return self.scenario.models[0].name

    @property
    def engine_url(self) -> str:
        """Where rules are decided."""
        return f"http://{ports.ADDRESS}:{self.engine_port}"

    def prepare(self) -> None:
        """Write what registry and control read at their start: keys, scenario, plan, signed rules."""
        identity.create_keys(self.lab)
        write_model(self.lab.scenario, self.scenario)
        write_model(self.lab.plan, layout(self.lab.name, self.scenario, SEED, Overrides()))
        write_atomic(self.lab.root / "known_columns.json", json.dumps({self.model: list(COLUMNS)}))
        publish(self.lab)

    def engine(self) -> Sequence[str]:
        """The policy engine's command line."""
        if program := shutil.which("opa"):
            return [program, "run", "--server", "--addr", f"{ports.ADDRESS}:{self.engine_port}", "--log-level", "error"]
        where = ("--host", ports.ADDRESS, "--port", str(self.engine_port), "--no-access-log", "--log-level", "warning")
        return [sys.executable, "-m", "uvicorn", "archlab.drills.engine:app", *where]

    def registry(self) -> Command:
        """How the registry is started: as a lab's, but that its rules are decided elsewhere."""
        made = commands.registry(self.lab)
        return replace(made, env={**made.env, "ARCHLAB_OPA_URL": self.engine_url})

    def registry_answers(self) -> bool:
        """Whether the registry is up, asked beside the gateway."""
        return probe(self.registry().health)

    def register(self, base: str, env: Mapping[str, str]) -> None:
        """Register a version through the gateway, as whoever trains, and approve it, as somebody else.

        Args:
            base: the gateway's URL.
            env: what a process of the testbed inherits.

        Raises:
            TargetError: it can't be registered; carries what the registering process said last.
            RefusedError, UnavailableError: the approval is refused, or not answered.
        """
        tracking = {
            "MLFLOW_TRACKING_URI": f"{base}/mlflow",
            "MLFLOW_TRACKING_TOKEN": self._token(self.scenario.trainer),
        }
        argv = [sys.executable, "-m", "archlab.drills.candidate"]
        everything = {**env, **tracking, "MLFLOW_DISABLE_TELEMETRY": "true"}
        try:
            done = subprocess.run(
                argv, env=everything, capture_output=True, text=True, timeout=START_S, check=False, cwd=self.lab.root
            )
        except subprocess.TimeoutExpired:
            raise TargetError(f"Registering a version takes longer than {START_S:g} s.", unit=CANDIDATE) from None
        said = next((line for line in reversed(done.stdout.splitlines()) if line.startswith('{"version"')), "")
        if done.returncode or not said:
            raise TargetError(
                "No version can be registered.", unit=CANDIDATE, log_tail=tuple(done.stderr.splitlines()[-15:])
            )
        self.version = str(json.loads(said)["version"])
        tag = {"key": "archlab.approved_by", "value": self.scenario.approver}
        body = {"name": self.model, "version": self.version, **tag}
        self._post(base, f"{API}/model-versions/set-tag", body, self.scenario.approver)

    def promote(self, base: str) -> None:
        """Make the version champion, whether it is or not: the gate decides each time.

        Raises:
            RefusedError: the gate refuses; says why.
            UnavailableError: it does not answer.
        """
        change = self.change()
        self._post(base, change.path, change.body, self.scenario.learner)

    def change(self) -> Change:
        """The same, for the probe."""
        body = {"name": self.model, "alias": CHAMPION, "version": self.version}
        return Change(path=f"{API}/registered-models/alias", body=body, token=self._token(self.scenario.learner))

    def engine_answers(self, timeout_s: float) -> bool:
        """The platform's own check: whether its policy engine answers."""
        try:
            with httpx.Client(timeout=timeout_s) as client:
                return client.get(f"{self.engine_url}/health").status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def decisions(self) -> tuple[DecisionRecord, ...]:
        """The log of decisions, oldest first.

        Raises:
            UnavailableError: control does not answer.
        """
        transport = httpx.HTTPTransport(uds=str(self.lab.socket(CONTROL)))
        headers = {"authorization": f"Bearer {self._token(self.scenario.learner)}"}
        try:
            with httpx.Client(transport=transport, base_url="http://control", timeout=PROMOTION_S) as client:
                found = client.get("/decisions", headers=headers).raise_for_status().json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(f"Control does not show its decisions: {error}.") from None
        return tuple(DecisionRecord.model_validate(record) for record in found)

    def started(self) -> None:
        """Note that the policy engine is started now."""
        self.engine_up = datetime.now(UTC)

    def _post(self, base: str, path: str, body: Mapping[str, Any], user: str) -> None:
        headers = {"authorization": f"Bearer {self._token(user)}"}
        try:
            with httpx.Client(base_url=base, timeout=PROMOTION_S) as client:
                answer = client.post(path, json=dict(body), headers=headers)
        except httpx.HTTPError as error:
            raise UnavailableError(f"The registry does not answer ({type(error).__name__}).") from None
        if answer.status_code != httpx.codes.OK:
            raise RefusedError(f"The registry answers {answer.status_code}: {_said(answer)}")

    def _token(self, user: str) -> str:
        return identity.mint(self.lab, self.scenario.user(user))


def _said(answer: httpx.Response) -> str:
    """MLflow's message, on one line."""
    with suppress(ValueError, KeyError, TypeError):
        return " ".join(str(answer.json()["message"]).split())
    return answer.text[:500]


def failed_closed(log: Sequence[DecisionRecord], until: datetime | None) -> tuple[int, int]:
    """What was decided without an engine: how often the answer was no for want of it, and how often it was yes.

    Args:
        log: decisions in their order.
        until: when the engine was started again; None when it was not.
    """
    without = [r for r in log if until is None or r.wall_time < until]
    first = next((n for n, r in enumerate(without) if _for_want_of_it(r)), len(without))
    denied = sum(_for_want_of_it(r) for r in without[first:])
    return denied, sum(r.decision.allow for r in without[first:])


def _for_want_of_it(record: DecisionRecord) -> bool:
    return not record.decision.allow and any(reason.code == UNREACHABLE for reason in record.decision.reasons)
