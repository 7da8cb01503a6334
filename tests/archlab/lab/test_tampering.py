"""Deeds on a database: done once, and found done; what can't be done is said before anything is made."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from archlab.control import lineage
from archlab.control.decisions import Decided
from archlab.control.decisions import append as append_decision
from archlab.control.store import Store
from archlab.errors import UserError
from archlab.files import write_model
from archlab.lab import anchors, tampering
from archlab.lab.lab import Lab
from archlab.lineage import log
from archlab.lineage.events import completed
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.policy import forgery
from archlab.settings import LabFolder
from archlab.spec.audit import Anchor
from archlab.spec.lab import LabIdentity, LabState
from archlab.spec.policy import Decision
from archlab.spec.tampering import Tampered, Tampering
from policy_queries import NOW, good


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "control.db")
    lineage.prepare(made)
    decision = Decision(allow=True, reasons=(), engine="embedded", bundle_digest="b" * 64)
    for candidate in ("", "second"):
        query = good("promotion/champion")
        tags = {**query.resource.tags, **({"archlab.candidate": candidate} if candidate else {})}
        query = query.model_copy(update={"resource": query.resource.model_copy(update={"tags": tags})})
        append_decision(made, Decided(query=query, decision=decision), NOW)
    return made


def deed(kind: str, how: str, **more: str) -> Tampering:
    return Tampering.model_validate({"name": "x", "kind": kind, "how": how, **more})


@pytest.mark.parametrize("how", ["edit", "rehash", "rewrite", "drop"])
def test_a_record_is_changed_once(store: Store, how: str) -> None:
    edited = deed("record", how, candidate="second", approver="eve")
    with sqlite3.connect(store.path, isolation_level=None) as db:
        written = tampering._records(db)
        plan = Tampered(name="x", before=forgery.meant(written, edited))
        tampering._change_log(db, edited, plan)
        found = tampering._records(db)
        assert found == forgery.forged(written, edited) != written
        tampering._change_log(db, edited, plan)
        assert tampering._records(db) == found
        columns = db.execute("SELECT sequence, action, name, version, allow FROM decisions").fetchall()
        assert columns == [
            (r.sequence, r.query.action, r.query.resource.name, r.query.resource.version, r.decision.allow)
            for r in found
        ]
    query = good("access/tag")
    decision = written[0].decision
    assert append_decision(store, Decided(query=query, decision=decision), NOW).previous == found[-1].hash


@pytest.mark.parametrize("how", ["drop", "rewrite"])
def test_an_event_is_taken_out_and_no_other_one_when_it_is_done_again(store: Store, how: str) -> None:
    with store.write() as db:
        for job in ("train.a", "train.b"):
            lineage.append(db, completed(job, inputs=[], outputs=[], business_time=NOW))
    gone = deed("event", how, job="train.a")
    with sqlite3.connect(store.path, isolation_level=None) as db:
        tampering._change_events(db, gone)
        tampering._change_events(db, gone)
    with store.read() as reading:
        left = lineage.read(reading)
    assert "train.a" not in {log.job_of(record) for record in left}
    assert "train.b" in {log.job_of(record) for record in left}
    assert bool(log.verify(left)) is (how == "drop")
    assert all(json.loads(record.event)["run"]["runId"] for record in left)


def test_a_cluster_is_refused_before_anything_is_made() -> None:
    scenario = load_scenario(scenario_folder("ten-models") / "scenario.yaml")
    tampering.check(scenario, on_cluster=True)
    tampered = scenario.model_copy(update={"tampering": (deed("event", "drop", job="train.a"),)})
    tampering.check(tampered, on_cluster=False)
    with pytest.raises(UserError, match="not to a cluster's volumes"):
        tampering.check(tampered, on_cluster=True)


def test_heads_of_the_start_hold_again_after_a_reset(tmp_path: Path) -> None:
    identity = LabIdentity(
        lab="one", scenario="ten-models", seed=1, code_version="0", gateway_port=8080, state=LabState.READY, created=NOW
    )
    lab = Lab(LabFolder(tmp_path / "one"))
    write_model(lab.folder.identity, identity)
    made, later = (Anchor(lab="one", sequence=n, hash=str(n) * 64, wall_time=NOW) for n in (1, 2))
    anchors.keep_start(lab, [made])
    anchors.keep_start(lab, [later])
    anchors.append(anchors.file_of(lab), later)
    anchors.set_aside(lab)
    assert anchors.file_of(lab).parent == tmp_path / "anchors"
    assert anchors.file_of(lab).read_text() == made.model_dump_json() + "\n"
    assert len(list((tmp_path / "anchors").glob("*.reset-*.jsonl"))) == 1
