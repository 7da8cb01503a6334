"""What governance costs: a decision on both engines with 60 rules, and what the gate adds to a promotion.

Run `make bench-gate [ARGUMENTS=--quick]`. The built-in rules and as many more as make 60, once spread over every action
and once all on the promotion that is asked about; the two engines are asked in turns, round by round. A promotion is an
alias set by an unmodified HTTP call: on MLflow alone, and on the gated registry with a real control that keeps the
decision log on disk. CPU time is the deciding process's own; OPA's is not in it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from archlab.files import write_model
from archlab.identity import create_keys, mint
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.policy.bundle import load, publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.policy.opa import OpaEngine
from archlab.registry import environment
from archlab.settings import LabFolder, scenarios_root
from archlab.spec.policy import PolicyEngine, Query
from archlab.spec.scenario import Overrides
from control_process import Control
from gated_registry import GOOD_TAGS, USERS, healthy, wait_for
from model_folders import fill
from onnx_models import weighty
from opa_server import OPA, opa_server
from policy_queries import GOOD, good

RULES = 60
ACTION = "promotion/champion"
SCENARIO = scenarios_root() / "ten_models" / "scenario.yaml"
GOALS_MS = {"embedded": 15.0, "OPA": 5.0, "promotion": 100.0}
RULE = """package archlab.rules.more.{name}

import rego.v1

actions := {{"{action}"}}

requires := {{"resource.name", "subject.user"}}

default allow := false

allow if {{
	is_string(input.resource.name)
	count(input.resource.name) < {limit}
	count(forbidden) == 0
}}

forbidden contains role if {{
	some role in input.subject.roles
	role in {{"intern", "guest", "role{limit}"}}
}}

reasons contains {{"code": "forbidden", "message": message}} if {{
	some role in forbidden
	message := sprintf("%v has the role %v.", [input.subject.user, role])
}}
"""


@dataclass
class Series:
    """Times of one thing, in milliseconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        """Once more."""
        cpu, wall = time.thread_time(), time.perf_counter()
        work()
        self.wall.append((time.perf_counter() - wall) * 1000)
        self.cpu.append((time.thread_time() - cpu) * 1000)

    def row(self) -> str:
        """p50, p99 and CPU time."""
        return f"{statistics.median(self.wall):8.2f} {_p99(self.wall):8.2f} {statistics.median(self.cpu):8.2f}"


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]


def with_rules(folder: LabFolder, actions: list[str]) -> int:
    """Publish the built-in rules and as many more as make RULES, over these actions in turn; how many there are."""
    shutil.rmtree(folder.policies, ignore_errors=True)
    publish(folder)
    for number in range(RULES - len(load(folder).bundle.rules)):
        name = f"rule{number}"
        path = folder.policies / "more" / name / f"{name}.rego"
        path.parent.mkdir(parents=True)
        path.write_text(RULE.format(name=name, action=actions[number % len(actions)], limit=100 + number))
    publish(folder)
    return len(load(folder).bundle.rules)


def decisions(folder: LabFolder, times: int, rounds: int) -> None:
    """Both engines in turns, on both libraries."""
    print(f"{'a decision':<44} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
    for title, actions in (("over every action", sorted(GOOD)), (f"the others on {ACTION}", [ACTION])):
        count = with_rules(folder, actions)
        applying = sum(ACTION in rule.actions for rule in load(folder).bundle.rules)
        with ExitStack() as stack:
            engines: dict[str, PolicyEngine] = {"embedded": EmbeddedEngine(folder)}
            if OPA:
                engines["OPA"] = OpaEngine(folder, stack.enter_context(opa_server()))
            for name, series in _in_turns(engines, good(ACTION), times, rounds).items():
                met = "met" if _p99(series.wall) <= GOALS_MS[name] else "missed"
                label = f"{name}, {count} rules {title}, {applying} apply"
                print(f"{label:<58}{series.row()}  goal {GOALS_MS[name]:.0f} ms p99: {met}")
    if not OPA:
        print("There is no opa program on PATH: its server was not measured.")


def _in_turns(engines: dict[str, PolicyEngine], query: Query, times: int, rounds: int) -> dict[str, Series]:
    found = {name: Series() for name in engines}
    for engine in engines.values():
        first = engine.decide(query)
        assert first.allow, first.reasons
    for number in range(rounds):
        for name in sorted(engines, reverse=bool(number % 2)):
            for _ in range(times // rounds):
                found[name].measure(lambda name=name: engines[name].decide(query))  # type: ignore[misc]
    return found


@contextmanager
def served(folder: LabFolder, application: str, log: Path) -> Iterator[str]:
    """An MLflow on a port of its own: `archlab.registry.app:app`, or MLflow's own application."""
    listener = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "uvicorn", application, "--fd", str(listener.fileno()), "--no-access-log"]
    variables = {**os.environ, **environment(folder)}
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=variables, pass_fds=[listener.fileno()], stdout=out, stderr=subprocess.STDOUT
        )
    port = listener.getsockname()[1]
    listener.close()
    url = f"http://127.0.0.1:{port}/mlflow"
    try:
        wait_for(lambda: healthy(url) or process.poll() is not None, application)
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.terminate()
        process.wait(20)


def promoter(url: str, folder: LabFolder) -> Callable[[], object]:
    """Registers and approves one version; what is returned makes it champion, again and again."""
    users = {name: {"Authorization": f"Bearer {mint(folder, USERS[name])}"} for name in ("trainer", "grace")}
    client = httpx.Client(base_url=f"{url}/api/2.0/mlflow", timeout=60)

    def ask(path: str, body: dict[str, Any], user: str = "trainer") -> dict[str, Any]:
        answer = client.post(path, json=body, headers=users[user])
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    experiment = ask("/experiments/create", {"name": "bench"})["experiment_id"]
    run = ask("/runs/create", {"experiment_id": experiment})["run"]["info"]
    for key, value in (("auc", 0.9), ("holdout_rows", 2000)):
        ask("/runs/log-metric", {"run_id": run["run_id"], "key": key, "value": value, "timestamp": 0})
    place = run["artifact_uri"].partition(":/")[2]
    with tempfile.TemporaryDirectory() as made:
        for file in fill(Path(made), weighty(0.3), key=folder.keys / "signing.pem").iterdir():
            put = f"{url}/api/2.0/mlflow-artifacts/artifacts/{place}/model/{file.name}"
            assert httpx.put(put, content=file.read_bytes(), headers=users["trainer"]).status_code == 200
    ask("/registered-models/create", {"name": "bench"})
    now = load_scenario(SCENARIO).starts.isoformat()
    tags = [{"key": k, "value": v} for k, v in {**GOOD_TAGS, "archlab.evaluated_at": now}.items()]
    source = f"{run['artifact_uri']}/model"
    ask("/model-versions/create", {"name": "bench", "source": source, "run_id": run["run_id"], "tags": tags})
    approval = {"name": "bench", "version": "1", "key": "archlab.approved_by", "value": "grace"}
    ask("/model-versions/set-tag", approval, "grace")
    champion = {"name": "bench", "alias": "champion", "version": "1"}
    return lambda: ask("/registered-models/alias", champion)


def promotions(root: Path, times: int) -> None:
    """The same call on MLflow alone and on the gated registry, in turns."""
    scenario = load_scenario(SCENARIO)
    series: dict[str, Series] = {}
    with ExitStack() as stack:
        work: dict[str, Callable[[], object]] = {}
        for name, app in (
            ("MLflow alone", "mlflow.server.fastapi_app:app"),
            ("gated", "archlab.registry.app:app"),
        ):
            folder = made_folder(root / name.split()[0])
            write_model(folder.scenario, scenario)
            write_model(folder.plan, layout("lab", scenario, 1, Overrides()))
            publish(folder)
            control = Control(folder).start()
            stack.callback(control.stop)
            url = stack.enter_context(served(folder, app, root / f"{folder.root.parent.name}.log"))
            work[name], series[name] = promoter(url, folder), Series()
            work[name]()  # the first one is not like the others
        for _ in range(times):
            for name, promote in work.items():
                series[name].measure(promote)
    print(f"\n{'a promotion':<58}{'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8}")
    for name, found in series.items():
        print(f"{name:<58}{found.row()}")
    added = statistics.median(series["gated"].wall) - statistics.median(series["MLflow alone"].wall)
    print(f"The gate adds {added:.1f} ms at the median; goal {GOALS_MS['promotion']:.0f} ms")


def made_folder(root: Path) -> LabFolder:
    """A lab's folder with keys and a place for sockets."""
    folder = LabFolder(root / "lab")
    create_keys(folder)
    folder.registry.mkdir(parents=True)
    folder.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    quick: bool = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="archlab-gate-") as root:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
        decisions(made_folder(Path(root) / "policy"), 100 if quick else 1000, 2 if quick else 10)
        promotions(Path(root), 5 if quick else 60)


if __name__ == "__main__":
    main()
