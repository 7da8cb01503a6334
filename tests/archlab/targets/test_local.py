"""The local target with a real supervisord, a real Envoy and real small servers."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from archlab.errors import ConflictError, NotFoundError, TargetError
from archlab.spec.plan import Observation, Plan, ReplicaState
from archlab.targets.local import LocalTarget
from archlab.targets.supervision import Supervisor

if TYPE_CHECKING:
    from tests.archlab.targets.conftest import Bench, Load

MakePlan = Callable[..., Plan]
Until = Callable[[Callable[[], object], str], None]
MakeLoad = Callable[["Bench"], "Load"]


def states(seen: Observation) -> dict[str, ReplicaState]:
    return {f"{r.unit}-{r.index}": r.state for r in seen.replicas}


def supervisor_pid(bench: Bench) -> int:
    return Supervisor(bench.folder.socket("supervisor")).pid()


def test_a_lab_comes_up_is_seen_stays_and_goes(bench: Bench, plan: MakePlan) -> None:
    bench.apply(plan({"online": 2}))
    seen = bench.target.observe()
    assert states(seen) == dict.fromkeys(
        ("gateway-0", "registry-0", "control-0", "online-0", "online-1"), ReplicaState.READY
    )
    assert all(r.pid and r.rss_bytes > 1 << 20 and r.restarts == 0 for r in seen.replicas)
    assert {bench.get().json()["name"] for _ in range(6)} == {"online-0", "online-1"}
    assert bench.said[-1] == ("start", f"all units answer behind {bench.target.endpoints().gateway}")

    pids = bench.pids()
    bench.apply(plan({"online": 2}))
    assert bench.pids() == pids

    bench.target.destroy()
    assert bench.left() == []
    assert not bench.folder.run.exists()
    assert bench.folder.keys.is_dir()
    assert set(states(bench.target.observe()).values()) == {ReplicaState.STOPPED}
    bench.target.destroy()


def test_scaling_loses_no_request_and_restarts_nobody(bench: Bench, plan: MakePlan, load: MakeLoad) -> None:
    bench.apply(plan({"online": 1}))
    first = bench.pids()
    with load(bench) as asking:
        asking.more(50)
        bench.apply(plan({"online": 3}))
        asking.more(50)
        assert {name for _, name in asking.answers} == {"online-0", "online-1", "online-2"}
        bench.apply(plan({"online": 1}))
        mark = len(asking.answers)
        asking.more(50)
        assert {name for _, name in asking.answers[mark + 3 :]} == {"online-0"}
    assert asking.failed == []
    assert bench.pids() == first
    assert not bench.folder.socket("online-2").exists() or bench.left()


def test_moving_a_model_to_another_pool_loses_no_request(bench: Bench, plan: MakePlan, load: MakeLoad) -> None:
    bench.apply(plan({"online": 2}))
    with load(bench) as asking:
        asking.more(50)
        bench.apply(plan({"lookup": 1}, "lookup"))
        mark = len(asking.answers)
        asking.more(50)
        assert {name for _, name in asking.answers[mark + 3 :]} == {"lookup-0"}
        bench.apply(plan({"online": 2}))
        asking.more(50)
    assert asking.failed == []
    assert set(bench.pids()) == {"gateway-0", "registry-0", "control-0", "online-0", "online-1"}


def test_only_what_changed_restarts_and_one_replica_at_a_time(bench: Bench, plan: MakePlan, load: MakeLoad) -> None:
    bench.apply(plan({"online": 2}))
    before = bench.pids()
    bench.commands.env["online"] = "50 % of what's there"
    with load(bench) as asking:
        asking.more(50)
        bench.apply(plan({"online": 2}))
        asking.more(50)
    assert asking.failed == []
    after = bench.pids()
    assert {name for name in before if before[name] != after[name]} == {"online-0", "online-1"}
    process = psutil.Process(after["online-0"] or 0)
    assert process.environ()["VARIANT"] == "50 % of what's there"


def test_a_killed_replica_comes_back_and_is_counted(bench: Bench, plan: MakePlan, load: MakeLoad, until: Until) -> None:
    bench.apply(plan({"online": 2}))
    victim = bench.pids()["online-0"] or 0
    with load(bench) as asking:
        asking.more(50)
        os.kill(victim, signal.SIGKILL)
        asking.more(100)
        until(lambda: bench.pids()["online-0"] not in (victim, None), "online-0 has another pid")
        until(lambda: states(bench.target.observe())["online-0"] is ReplicaState.READY, "online-0 is ready")
    assert asking.failed == []
    restarts = {f"{r.unit}-{r.index}": r.restarts for r in bench.target.observe().replicas}
    assert (restarts["online-0"], restarts["online-1"]) == (1, 0)


class TestFailures:
    def test_a_unit_that_dies_is_reported_with_its_last_words(self, bench: Bench, plan: MakePlan) -> None:
        bench.commands.instead["registry"] = (sys.executable, "-c", "raise SystemExit('the disk is on fire')")
        with pytest.raises(TargetError, match=r"registry-0 does not start") as caught:
            bench.apply(plan({"online": 1}))
        assert caught.value.unit == "registry"
        assert "the disk is on fire" in caught.value.log_tail
        assert "archlab logs registry" in caught.value.remedy
        del bench.commands.instead["registry"]
        bench.apply(plan({"online": 1}))
        assert bench.get("/mlflow/x").json()["name"] == "registry"

    def test_a_program_that_is_not_there_is_reported(self, bench: Bench, plan: MakePlan) -> None:
        bench.commands.instead["online"] = ("/nowhere/server",)
        with pytest.raises(TargetError, match=r"online-0 does not start \(can't find command '/nowhere/server'\)"):
            bench.apply(plan({"online": 1}))

    def test_a_port_of_somebody_else_is_named(self, bench: Bench, plan: MakePlan) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", bench.target.port))
            other.listen()
            own = psutil.Process()
            with pytest.raises(ConflictError, match=rf"Port {bench.target.port} is held by .*pid {own.pid}"):
                bench.apply(plan({"online": 1}))
        assert bench.left() == []

    def test_an_interrupted_apply_is_finished_by_the_next(self, bench: Bench, plan: MakePlan) -> None:
        def interrupt(step: str, detail: str) -> None:
            if "ready" in detail:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bench.target.apply(plan({"online": 2}), interrupt)
        bench.apply(plan({"online": 1}))
        assert set(bench.pids()) == {"gateway-0", "registry-0", "control-0", "online-0"}
        assert bench.get().status_code == 200

    def test_a_run_folder_of_somebody_else_is_refused(self, bench: Bench, plan: MakePlan) -> None:
        bench.folder.run.mkdir(mode=0o755)
        with pytest.raises(TargetError, match="not a private folder"):
            bench.apply(plan({"online": 1}))
        bench.folder.run.rmdir()

    def test_a_socket_path_too_long_is_refused(
        self, bench: Bench, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", "/tmp/" + "x" * 90)
        with pytest.raises(TargetError, match="too long"):
            bench.apply(plan({"online": 1}))


class TestKilledSupervisor:
    def test_apply_recovers_and_nothing_runs_twice(self, bench: Bench, plan: MakePlan, until: Until) -> None:
        bench.apply(plan({"online": 1}))
        old = {pid for pid in bench.pids().values() if pid}
        os.kill(supervisor_pid(bench), signal.SIGKILL)
        until(lambda: "supervisord" in bench.target.observe().replicas[0].detail, "supervisord is gone")
        bench.apply(plan({"online": 1}))
        assert bench.get().status_code == 200
        assert not {p.pid for p in psutil.process_iter()} & old
        assert len(bench.left()) == 5

    def test_destroy_leaves_nothing(self, bench: Bench, plan: MakePlan) -> None:
        bench.apply(plan({"online": 1}))
        os.kill(supervisor_pid(bench), signal.SIGKILL)
        bench.target.destroy()
        assert bench.left() == []

    def test_a_stale_socket_is_no_obstacle(self, bench: Bench, plan: MakePlan) -> None:
        bench.apply(plan({"online": 1}))
        bench.target.destroy()
        bench.folder.run.mkdir(mode=0o700)
        for name in ("supervisor", "online-0"):
            with socket.socket(socket.AF_UNIX) as stale:
                stale.bind(str(bench.folder.socket(name)))
        bench.apply(plan({"online": 1}))
        assert bench.get().status_code == 200


def test_two_labs_run_side_by_side(bench: Bench, plan: MakePlan, tmp_path: Path) -> None:
    from tests.archlab.targets.conftest import SmallCommands

    from archlab import identity
    from archlab.settings import LabFolder
    from archlab.targets.ports import free_port

    other = LabFolder(tmp_path / "other")
    other.root.mkdir()
    identity.create_keys(other)
    second = LocalTarget(other, free_port(bench.target.port + 1), SmallCommands(other))
    try:
        bench.apply(plan({"online": 1}))
        second.apply(plan({"online": 1}), lambda *_: None)
        second.destroy()
        assert bench.get().status_code == 200
    finally:
        second.destroy()


def test_two_labs_never_share_a_port(
    bench: Bench, plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.archlab.targets.conftest import SmallCommands

    from archlab import identity
    from archlab.settings import LabFolder

    other = LabFolder(tmp_path / "other")
    other.root.mkdir()
    identity.create_keys(other)
    second = LocalTarget(other, bench.target.port, SmallCommands(other))
    try:
        bench.apply(plan({"online": 1}))
        with monkeypatch.context() as at_once:
            at_once.setattr(LocalTarget, "_claim_port", lambda *_: None)  # as if both had looked before either listened
            with pytest.raises(ConflictError, match=rf"Port {bench.target.port} is held by "):
                second.apply(plan({"online": 1}), lambda *_: None)
        assert {bench.get().status_code for _ in range(20)} == {200}
    finally:
        second.destroy()


def test_processes_inherit_no_surprises_and_files_are_private(
    bench: Bench, plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://elsewhere")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bench.apply(plan({"online": 1}))
    for pid in bench.pids().values():
        found = psutil.Process(pid or 0).environ()
        assert found["ARCHLAB_LAB"] == str(bench.folder.root)
        assert not {"MLFLOW_TRACKING_URI", "HTTP_PROXY", "AWS_SECRET_ACCESS_KEY"} & found.keys()
    for path in (*bench.folder.log.iterdir(), *bench.folder.conf.glob("*.*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_logs_of_a_unit_of_one_replica_and_of_nothing(bench: Bench, plan: MakePlan) -> None:
    command = "import time; print('hello from here', flush=True); time.sleep(1000)"
    bench.commands.instead["registry"] = (sys.executable, "-c", "print('hello'); raise SystemExit(3)")
    with pytest.raises(TargetError):
        bench.apply(plan({"online": 2}))
    assert "hello" in list(bench.target.logs("registry"))
    assert "hello" in list(bench.target.logs("registry", 0, 50))
    assert list(bench.target.logs("supervisord"))
    with pytest.raises(NotFoundError, match=r"no log of 'nobody'.*registry-0"):
        bench.target.logs("nobody")
    with pytest.raises(NotFoundError):
        bench.target.logs("registry", 7)
    del command
