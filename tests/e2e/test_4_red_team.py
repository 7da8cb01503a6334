"""Ways round the gates of a running lab: each is refused, leaves a trace, and callers are answered as before.

Version 2 of the model was registered by its team and approved by nobody. What anybody may try is in `ways_round`; here
it is tried, and what takes a text editor and `sqlite3` on the lab's folder.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archlab.lab import Lab
from archlab.lab.asking import example
from archlab.lab.work import mlflow_environment, run_job
from archlab.policy.chain import record_hash
from archlab.spec.job import Job
from harness import Cli
from ways_round import ALIAS, CHAMPION, DECIDED, MODEL, TARGET, TURNED_AWAY, Ground

pytestmark = pytest.mark.lab
WITHIN_S = 120.0
EFFECTIVE = ("deployment/canary", "retention/delete", "lifecycle/retire", "access/remove_champion", "exception/grant")
"""What control would act on, were it on record as allowed."""


@pytest.fixture(scope="module")
def ground(cli: Cli, lab: Lab) -> Iterator[Ground]:
    cli.ok("reset")
    environment = mlflow_environment(lab, lab.declared.trainer)
    arguments = ("--variant", "v2-leaky", MODEL)
    run_job(lab, Job(name="register-v2", module="archlab.pipelines.register", args=arguments, env=environment), quiet)
    yield Ground(lab, example(lab, MODEL, []))
    cli.ok("reset")


def quiet(_step: str, _detail: str) -> None:
    """No progress is shown."""


@pytest.mark.parametrize("way", DECIDED)
def test_a_rule_refuses_it_and_the_decision_is_on_record(ground: Ground, way: str) -> None:
    before = len(ground.decisions())
    reply = DECIDED[way](ground)
    assert reply.status == 403, reply.text
    new = ground.decisions()[before:]
    assert [r for r in new if r.decision.allow and r.query.action in EFFECTIVE] == []
    assert not new[-1].decision.allow
    assert new[-1].decision.reasons
    assert new[-1].decision.engine.startswith("embedded regopy")
    assert ground.answering() == {CHAMPION}


@pytest.mark.parametrize("way", TURNED_AWAY)
def test_it_is_turned_away(ground: Ground, way: str) -> None:
    reply = TURNED_AWAY[way](ground)
    assert reply.status in (400, 401, 403, 404), reply.text
    ground.turned_away.append((way, reply))
    assert ground.answering() == {CHAMPION}


def test_what_was_turned_away_is_in_the_gateways_log(ground: Ground) -> None:
    assert ground.turned_away
    log = ground.lab.folder.log / "gateway-access.log"

    def missing() -> list[str]:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        seen = {(line["method"], line["status"]) for line in lines}
        return [way for way, reply in ground.turned_away if (reply.method, reply.status) not in seen]

    until(lambda: not missing(), "a line for each")
    refused = [line for line in map(json.loads, log.read_text().splitlines()) if line["status"] in (400, 401, 403, 404)]
    assert len(refused) >= len(ground.turned_away)
    assert ground.lab.token()[:40] not in log.read_text()


def until(condition: Callable[[], object], what: str) -> None:
    deadline, pause = time.monotonic() + WITHIN_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {WITHIN_S} s"
        pause.wait(0.1)


def logged(ground: Ground, unit: str, text: str) -> Callable[[], bool]:
    """Whether a unit's log has a text that it did not have before this call."""
    path = ground.lab.folder.log / f"{unit}-0.log"
    before = path.read_text().count(text)
    return lambda: path.read_text().count(text) > before


@contextlib.contextmanager
def edited(path: Path) -> Iterator[Path]:
    """A file that somebody edits, put back afterwards."""
    before = path.read_bytes()
    try:
        yield path
    finally:
        path.write_bytes(before)


@contextlib.contextmanager
def alias_by_hand(ground: Ground, alias: str) -> Iterator[None]:
    """Version 2 under an alias, by the registry's database."""
    path = ground.lab.folder.registry / "mlflow.db"
    where = "WHERE name = ? AND alias = ?"
    with contextlib.closing(sqlite3.connect(path, timeout=30)) as db:
        names = [row[1] for row in db.execute("PRAGMA table_info(registered_model_aliases)")]
        rows = db.execute(f"SELECT {', '.join(names)} FROM registered_model_aliases {where}", (MODEL, alias)).fetchall()
        with db:
            db.execute(f"DELETE FROM registered_model_aliases {where}", (MODEL, alias))
            pattern = db.execute(f"SELECT {', '.join(names)} FROM registered_model_aliases").fetchone()
            made = dict(zip(names, pattern, strict=True)) | {"name": MODEL, "alias": alias, "version": int(TARGET)}
            marks = ", ".join("?" * len(names))
            db.execute(f"INSERT INTO registered_model_aliases VALUES ({marks})", tuple(made[name] for name in names))
        try:
            yield
        finally:
            with db:
                db.execute(f"DELETE FROM registered_model_aliases {where}", (MODEL, alias))
                db.executemany(f"INSERT INTO registered_model_aliases VALUES ({', '.join('?' * len(names))})", rows)


def reconcile(ground: Ground) -> list[dict[str, str]]:
    found: list[dict[str, str]] = ground.lab.control.post("/releases/reconcile", {})["refused"]
    return found


def test_an_alias_written_into_the_database_serves_nothing(ground: Ground) -> None:
    trace = logged(ground, "control", f"no allow decision for {MODEL} version {TARGET}")
    with alias_by_hand(ground, "champion"):
        assert "no allow decision" in reconcile(ground)[0]["reason"]
        until(trace, "a line in control's log")
        assert ground.answering() == {CHAMPION}


def test_a_denial_turned_into_an_allowance_serves_nothing(ground: Ground) -> None:
    """The record, its row, and its own hash are rewritten; the record after it was not."""
    denied = next(r for r in ground.decisions() if r.query.action == "promotion/champion" and not r.decision.allow)
    yes = denied.decision.model_copy(update={"allow": True, "reasons": ()})
    open_record = denied.model_copy(update={"decision": yes})
    forgery = open_record.model_copy(update={"hash": record_hash(open_record)})
    with contextlib.closing(sqlite3.connect(ground.lab.folder.control_db, timeout=30)) as db:
        (before,) = db.execute("SELECT record FROM decisions WHERE sequence = ?", (denied.sequence,)).fetchone()
        rewrite = "UPDATE decisions SET record = ?, allow = ? WHERE sequence = ?"
        with db:
            db.execute(rewrite, (forgery.model_dump_json(), True, denied.sequence))
        try:
            with alias_by_hand(ground, "champion"):
                assert "no allow decision" in reconcile(ground)[0]["reason"]
                assert ground.answering() == {CHAMPION}
            found = ground.lab.control.post("/decisions/verify")
            assert not found["whole"]
            assert any("does not follow" in fault for fault in found["faults"])
        finally:
            with db:
                db.execute(rewrite, (before, False, denied.sequence))


def test_a_feed_written_by_hand_is_not_believed(ground: Ground, cli: Cli) -> None:
    def refusals() -> float:
        text = ground.lab.control.text("/metrics")
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if line.startswith("archlab_release_refused_total") and "signature" in line
        )

    before, file = refusals(), ground.lab.folder.releases / "feed.json"
    with edited(file):
        feed = json.loads(file.read_bytes())
        mine = next(r for r in feed["releases"] if r["model"] == MODEL and r["role"] == "champion")
        feed["releases"].append({**mine, "id": f"{MODEL}:{TARGET}", "version": TARGET, "role": "challenger"})
        feed["sequence"] += 1000
        temporary = file.with_suffix(".mine")
        temporary.write_text(json.dumps(feed))
        temporary.replace(file)
        until(lambda: refusals() > before, "a server's refusal in its metrics")
        assert ground.answering() == {CHAMPION}
    reconcile(ground)


def test_a_plan_written_by_hand_sends_nobody_to_a_version_without_its_decision(ground: Ground) -> None:
    assert ground.send(body=ground.promotion(alias="challenger")).status == 200
    trace = logged(ground, "control", f"the plan sends 100 % of the callers of {MODEL} to version {TARGET}")
    with edited(ground.lab.folder.plan):
        plan = json.loads(ground.lab.folder.plan.read_bytes())
        route = next(r for r in plan["routes"] if r["model"] == MODEL)
        route["backends"] = [{**route["backends"][0], "weight": 100, "version": TARGET}]
        ground.lab.folder.plan.write_text(json.dumps(plan))
        assert "sends 100 %" in reconcile(ground)[0]["reason"]
        until(trace, "a line in control's log")
        assert ground.answering() == {CHAMPION}
    assert reconcile(ground) == []


def test_overrides_written_by_hand_wait_for_the_decision(ground: Ground, cli: Cli) -> None:
    with edited(ground.lab.folder.overrides) if ground.lab.folder.overrides.exists() else contextlib.nullcontext():
        ground.lab.folder.overrides.write_text(json.dumps({"models": {MODEL: {"canary_percent": 100}}}))
        cli.ok("up")
        assert ground.answering() == {CHAMPION}
        refused = cli.run("set", MODEL, "canary", "100")
        assert (refused.returncode, "deployment/canary_limited" in refused.stderr) == (1, True)
    cli.ok("set", MODEL, "canary", "0")


def test_a_bundle_that_allows_everything_is_not_taken(ground: Ground) -> None:
    trace = logged(ground, "registry", "policy bundle refused")
    with edited(ground.lab.folder.bundle / "bundle.json") as bundle:
        found = json.loads(bundle.read_bytes())
        found["modules"] = {
            name: text.replace("default allow := false", "default allow := true")
            for name, text in found["modules"].items()
        }
        found["sequence"] += 1
        bundle.write_text(json.dumps(found))
        assert ground.send().status == 403
        until(trace, "a line in the registry's log")
    assert ground.send().status == 403


def test_servers_listen_nowhere_but_at_sockets_of_their_own(ground: Ground) -> None:
    """There is no port to go round the gateway; what asks at a socket without being the lab's user can't open it."""
    for replica in ground.lab.target.observe().replicas:
        if replica.unit != "gateway" and replica.pid:
            assert not _tcp_listeners(replica.pid), replica.unit
    for path in ground.lab.folder.run.glob("*.sock"):
        assert path.parent.stat().st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(ground.lab.folder.socket("online-0")))
        probe.sendall(b"POST /v2/repository/models/x/load HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        assert probe.recv(200).split()[1] in (b"400", b"401", b"403", b"404")


def _tcp_listeners(pid: int) -> list[int]:
    import psutil

    return [c.laddr.port for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]


def test_while_control_is_down_nothing_is_promoted_or_sent_elsewhere(ground: Ground) -> None:
    log = ground.lab.folder.log / "gateway-access.log"
    ground.lab.target.withdraw("control-0")
    try:
        replies = [
            ground.send(),
            ground.tag("archlab.canary", "5"),
            ground.tag("archlab.retired", "in the way"),
            ground.send(ALIAS, {"name": MODEL, "alias": "champion"}, method="DELETE"),
        ]
        assert [reply.status for reply in replies] == [403] * 4, replies
        assert ground.answering() == {CHAMPION}
        until(lambda: log.read_text().count('"status":403') >= 4, "lines in the gateway's log")
    finally:
        ground.lab.target.apply(ground.lab.plan, quiet)
    assert ground.answering() == {CHAMPION}


def test_there_are_forty_ways_at_least(ground: Ground) -> None:
    assert len(DECIDED) + len(TURNED_AWAY) >= 40
    allowed = [r for r in ground.decisions() if r.decision.allow and r.query.resource.version == TARGET]
    assert not [r for r in allowed if r.query.resource.name == MODEL and r.query.action == "promotion/champion"]
    assert ground.lab.control.post("/decisions/verify")["whole"]
