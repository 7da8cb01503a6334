"""Control as a real process: clock, ticks, bill, decisions, identity; and what a kill -9 leaves."""

from __future__ import annotations

import json
import subprocess
import threading
from datetime import timedelta
from typing import Any

import httpx
import psutil
import pytest

from archlab.identity import PLATFORM, mint
from archlab.policy import chain
from archlab.settings import LabFolder
from archlab.spec.airline import Scoreboard
from archlab.spec.money import Line, UsageKind
from archlab.spec.policy import DecisionRecord
from archlab.spec.scenario import User
from control_process import START, VIEWER, Control, made_tick, usage

TICK = timedelta(minutes=30)
DECIDED: dict[str, Any] = {
    "query": {
        "subject": {"user": "learner", "team": "platform", "roles": ["developer"]},
        "action": "promotion/champion",
        "resource": {"kind": "model-version", "name": "flight-time", "version": "1", "digest": "a" * 64},
        "evidence": {"auc": 0.7},
        "time": "2013-12-02T08:00:00Z",
    },
    "decision": {"allow": True, "reasons": [], "engine": "embedded", "bundle_digest": "b" * 64},
}


def test_the_clock_starts_where_the_scenario_says(control: Control) -> None:
    clock = control.get("/clock")
    assert clock == {
        "now": "2013-12-02T08:00:00Z",
        "started": "2013-12-02T08:00:00Z",
        "tick_seconds": 1800,
        "advancing": None,
    }


def test_a_tick_moves_the_clock_once(control: Control) -> None:
    tick = made_tick(START).model_dump_json()
    assert control.post("/ticks", tick)["recorded"]
    cost = control.get("/cost")
    assert not control.post("/ticks", tick)["recorded"]
    assert control.get("/cost") == cost
    assert control.get("/clock")["now"] == "2013-12-02T08:30:00Z"
    assert control.get("/ticks") == ["0" * 64]


@pytest.mark.parametrize("offset", [-TICK, TICK, timedelta(minutes=1)])
def test_a_tick_that_does_not_follow_is_refused_and_leaves_nothing(control: Control, offset: timedelta) -> None:
    control.post("/ticks", made_tick(START).model_dump_json())
    with control.client() as client:
        refused = client.post("/ticks", content=made_tick(START + TICK + offset, length=2 * TICK).model_dump_json())
    assert refused.status_code == 409
    assert control.get("/clock")["now"] == "2013-12-02T08:30:00Z"
    assert control.get("/score")["models"][0]["requests"] == 3


def test_score_and_bill_add_up(control: Control) -> None:
    for n in range(48):
        control.post("/ticks", made_tick(START + n * TICK).model_dump_json())
    board, days = Scoreboard.model_validate(control.get("/score")), control.get("/score/daily")
    row = board.models[0]
    assert (row.model, row.requests, row.on_time, row.labelled, row.p99_ms) == ("departure-delay", 144, 144, 144, 7.0)
    # predictions .1 .3 .5 with labels 0 1 0: one of two pairs in order; a constant baseline gets half
    assert (row.quality, row.baseline) == (0.5, 0.5)
    # at threshold .3: a true negative, a true positive, a false positive; each stands for 200
    assert row.value_nanousd == 48 * 200 * (12_000 + 110_000 - 20_000)
    assert row.used_nanousd + row.idle_nanousd == board.cost_nanousd == control.get("/cost")["total_nanousd"]
    assert row.net_nanousd == board.net_nanousd == board.value_nanousd - board.cost_nanousd
    assert [Scoreboard.model_validate(day) for day in days] == [board]
    lines = [Line.model_validate(line) for line in control.get("/lines?by=day")]
    assert sum(line.cost_nanousd for line in lines) == board.cost_nanousd
    assert {line.usage_id for line in lines} == {"2013-12-02", "2013-12-03"}


def test_only_labels_that_the_clock_knows_count(control: Control) -> None:
    tick = made_tick(START)
    late = tuple(label.model_copy(update={"known": START + 2 * TICK}) for label in tick.labels)
    control.post("/ticks", tick.model_copy(update={"labels": late}).model_dump_json())
    assert control.get("/score")["models"][0]["labelled"] == 0
    control.post("/ticks", made_tick(START + TICK, answers=0).model_dump_json())
    assert control.get("/score")["models"][0]["labelled"] == 3


def test_a_part_of_the_time_can_be_scored(control: Control) -> None:
    for n in range(4):
        control.post("/ticks", made_tick(START + n * TICK).model_dump_json())
    part = control.get("/score?since=2013-12-02T08:30:00Z&until=2013-12-02T09:30:00+00:00")
    assert part["models"][0]["requests"] == 6
    assert part["cost_nanousd"] * 2 == control.get("/score")["cost_nanousd"]


def test_the_bill_agrees_with_its_recomputation_and_shows_overflow(control: Control) -> None:
    control.post("/ticks", made_tick(START).model_dump_json())
    beyond = [usage(START, "used-more", UsageKind.USED, 10**6).model_dump(mode="json")]
    assert control.post("/usage", beyond) == {"recorded": 1}
    assert control.post("/usage", beyond) == {"recorded": 0}
    cost = control.get("/cost?by=model,kind")
    assert cost["agrees"]
    assert cost["recomputed_nanousd"] == cost["total_nanousd"] == sum(line["cost_nanousd"] for line in cost["lines"])
    assert [line["kind"] for line in cost["lines"]] == ["used"]
    assert cost["overflow"][0]["quantity"] == 1_234 + 10**6 - 900_000


def test_one_replay_at_a_time_and_a_dead_holder_does_not_block(control: Control) -> None:
    until = (START + TICK).isoformat()
    holder = subprocess.Popen(["sleep", "1000"])
    other = subprocess.Popen(["sleep", "1000"])
    try:
        with control.client() as client:
            assert client.post("/clock/lease", json={"until": until, "pid": holder.pid}).status_code == 200
            assert client.get("/clock").json()["advancing"]["pid"] == holder.pid
            refused = client.post("/clock/lease", json={"until": until, "pid": other.pid})
            assert refused.status_code == 409
            assert str(holder.pid) in refused.json()["error"]
            client.delete(f"/clock/lease?pid={other.pid}").raise_for_status()
            assert client.get("/clock").json()["advancing"]["pid"] == holder.pid
            holder.kill()
            holder.wait()
            assert client.get("/clock").json()["advancing"] is None
            client.post("/clock/lease", json={"until": until, "pid": other.pid}).raise_for_status()
            client.delete("/clock/lease").raise_for_status()
            assert client.get("/clock").json()["advancing"] is None
    finally:
        for process in (holder, other):
            process.kill()
            process.wait()


def test_decisions_are_chained(control: Control) -> None:
    records = [DecisionRecord.model_validate(control.post("/decisions", DECIDED)) for _ in range(3)]
    assert [r.sequence for r in records] == [1, 2, 3]
    kept = [DecisionRecord.model_validate(record) for record in control.get("/decisions")]
    assert kept == records
    assert chain.verify(kept) == []
    assert control.post("/decisions/verify") == {"records": 3, "whole": True, "faults": []}


def test_a_changed_decision_is_found(control: Control) -> None:
    import sqlite3

    control.post("/decisions", DECIDED)
    with sqlite3.connect(control.folder.control_db) as db:
        (text,) = db.execute("SELECT record FROM decisions").fetchone()
        record = json.loads(text)
        record["query"]["subject"]["user"] = "mallory"
        db.execute("UPDATE decisions SET record = ?", (json.dumps(record),))
    assert not control.post("/decisions/verify")["whole"]


def test_exceptions_are_what_the_log_granted(control: Control) -> None:
    import sqlite3

    said = {"rule": "promotion/enough_holdout", "until": "2013-12-10T00:00:00Z", "owner": "ada", "reason": "late"}
    query = {**DECIDED["query"], "action": "exception/grant", "evidence": {**said, "model_created": "1"}}
    for model in ("flight-time", "gate-delay"):
        about = {"kind": "registered-model", "name": model}
        control.post("/decisions", {**DECIDED, "query": {**query, "resource": about}})
    control.post("/decisions", {"query": query, "decision": {**DECIDED["decision"], "allow": False}})
    assert [one["model"] for one in control.get("/exceptions")] == ["flight-time", "gate-delay"]
    (one,) = control.get("/exceptions?model=gate-delay")
    assert (one["granted_by"], one["until"], one["ended_at"]) == ("learner", "2013-12-10T00:00:00Z", None)
    assert control.get("/exceptions?model=nobody") == []
    with sqlite3.connect(control.folder.control_db) as db:
        db.execute("UPDATE decisions SET record = replace(record, '2013-12-10', '2014-12-10')")
    assert control.get("/exceptions") == []


@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_acknowledged(folder: LabFolder) -> None:
    control = Control(folder).start()
    acknowledged: list[str] = []
    ticks = 0
    for _ in range(3):
        enough = threading.Event()

        def write(enough: threading.Event = enough) -> None:
            nonlocal ticks
            with control.client() as client:
                try:
                    for n in range(10_000):
                        acknowledged.append(client.post("/decisions", json=DECIDED).raise_for_status().json()["id"])
                        tick = made_tick(START + ticks * TICK)
                        client.post("/ticks", content=tick.model_dump_json()).raise_for_status()
                        ticks += 1
                        if n == 5:
                            enough.set()
                except httpx.HTTPError:
                    return

        writer = threading.Thread(target=write)
        writer.start()
        assert enough.wait(60)
        control.kill()
        writer.join()
        control.start()
        records = [DecisionRecord.model_validate(record) for record in control.get("/decisions")]
        assert [r.id for r in records][: len(acknowledged)] == acknowledged
        assert chain.verify(records) == []
        recorded = len(control.get("/ticks"))
        # the tick under way when control died may have been kept without the answer having arrived
        assert recorded in (ticks, ticks + 1)
        assert control.get("/clock")["now"] == f"{START + recorded * TICK:%Y-%m-%dT%H:%M:%SZ}"
        assert control.get("/score")["models"][0]["requests"] == 3 * recorded
        assert control.get("/cost")["agrees"]
        acknowledged[:] = [r.id for r in records]
        ticks = recorded
    control.stop()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/clock/lease", {"until": "2013-12-03T08:00:00Z", "pid": 1}),
        ("DELETE", "/clock/lease", None),
        ("POST", "/ticks", {}),
        ("POST", "/decisions", DECIDED),
        ("POST", "/releases/reconcile", {}),
        ("POST", "/batch-runs", {}),
        ("POST", "/snapshots", {}),
        ("POST", "/usage", []),
    ],
)
def test_what_changes_the_lab_needs_a_role(idle: Control, method: str, path: str, body: Any) -> None:
    with idle.client(VIEWER) as client:
        refused = client.request(method, path, json=body)
    assert refused.status_code == 403
    assert "lacks the role" in refused.json()["error"]


@pytest.mark.parametrize("path", ["/ticks", "/decisions", "/batch-runs", "/snapshots"])
def test_what_happened_is_believed_from_the_platform_alone(idle: Control, path: str) -> None:
    operator = User(name="learner", team="platform", roles=("developer", "operator"))
    with idle.client(operator) as client:
        refused = client.post(path, json=DECIDED)
    assert (refused.status_code, "lacks the role recorder" in refused.json()["error"]) == (403, True)


def test_without_a_valid_token_there_is_no_answer(idle: Control) -> None:
    expired = mint(idle.folder, PLATFORM, lifetime_s=-1)
    with idle.client(None) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/score").status_code == 401
        refused = client.get("/score", headers={"Authorization": f"Bearer {expired}"})
        assert refused.status_code == 401
        assert "expired" in refused.json()["error"]
        assert client.get("/clock", headers={"Authorization": "Bearer nonsense"}).status_code == 401


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [
        ("/ticks", b"{", "JSON"),
        ("/ticks", b'{"start": "2013-12-02T08:00:00"}', "start"),
        ("/clock/lease", b'{"until": "2013-12-03T08:00:00Z", "pid": 0}', "pid"),
        ("/decisions", b'{"query": {}}', "query"),
        ("/snapshots", b'{"business_time": "2013-12-03T08:00:00Z", "views": []}', "views"),
    ],
)
def test_a_wrong_body_is_a_400_that_names_the_field(idle: Control, path: str, content: bytes, named: str) -> None:
    with idle.client() as client:
        refused = client.post(path, content=content)
    assert refused.status_code == 400
    assert named in refused.json()["error"]


def test_an_unknown_path_is_a_404_in_json(idle: Control) -> None:
    with idle.client() as client:
        refused = client.get("/nonsense")
    assert refused.status_code == 404
    assert refused.json()["error"]


def test_a_lab_without_a_scenario_says_so(control: Control) -> None:
    control.folder.scenario.unlink()
    with control.client() as client:
        refused = client.get("/clock")
    assert refused.status_code == 409
    assert "archlab up" in refused.json()["remedy"]


def test_control_is_small(control: Control) -> None:
    for n in range(48):
        control.post("/ticks", made_tick(START + n * TICK, answers=130).model_dump_json())
    for path in ("/score", "/score/daily", "/cost", "/metrics", "/lines?by=day"):
        with control.client() as client:
            client.get(path).raise_for_status()
    assert control.process
    assert psutil.Process(control.process.pid).memory_info().rss < 120 << 20
