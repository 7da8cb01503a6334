"""Ends and exceptions in a running lab: what callers are told, what the command line shows, what the log keeps."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from archlab.lab import Lab
from archlab.lab.asking import example
from archlab.lab.facts import versions_of
from archlab.lab.work import clock, mlflow_environment, run_job
from archlab.spec.airline import Tick
from archlab.spec.job import Job
from harness import Cli

pytestmark = pytest.mark.lab
MODEL, RULE = "flight-time", "promotion/enough_holdout"
WITHIN_S = 120.0


def headers(lab: Lab, model: str = MODEL) -> dict[str, str]:
    """Of an answer through the gateway."""
    request = urllib.request.Request(
        f"{lab.endpoints.gateway}/v2/models/{model}/infer",
        data=json.dumps(example(lab, model, [])).encode(),
        headers={"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        return {name.lower(): value for name, value in response.headers.items()}


def until(condition: Callable[[], bool], what: str) -> None:
    deadline, pause = time.monotonic() + WITHIN_S, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about within {WITHIN_S} s"
        pause.wait(0.05)


def state(cli: Cli, model: str = MODEL) -> str:
    return str({row["model"]: row["state"] for row in cli.json("models")}[model])


def test_callers_learn_of_an_end_and_of_its_being_taken_back(cli: Cli, fresh: Lab) -> None:
    assert "sunset" not in headers(fresh)
    assert state(cli) == "champion"
    assert "deprecated" in cli.ok("deprecate", MODEL, "1", "--sunset", "2013-12-20")
    until(lambda: "sunset" in headers(fresh), "the header Sunset")
    told = headers(fresh)
    assert (told["deprecation"], told["sunset"]) == ("@1385971200", "Sat, 21 Dec 2013 00:00:00 GMT")
    assert told["x-archlab-clock"] == "business"
    assert state(cli) == "champion, deprecated until 2013-12-21 00:00Z"
    assert "deprecated until 2013-12-21 00:00Z" in cli.ok("models", "show", MODEL)
    refused = cli.run("retire", MODEL, "1", "--reason", "replaced")
    assert (refused.returncode, "is promised to its callers" in refused.stderr) == (1, True)
    cli.ok("reinstate", MODEL, "1")
    until(lambda: "sunset" not in headers(fresh), "the end of the header")
    assert state(cli) == "champion"


def test_an_exception_is_granted_listed_and_revoked(cli: Cli, lab: Lab) -> None:
    asked = ("policy", "except", RULE, MODEL, "--until", "2013-12-20", "--reason", "few rows of new routes")
    refused = cli.run(*asked, "--as", "learner")
    assert (refused.returncode, "exception/granted_by_another" in refused.stderr) == (1, True)
    assert RULE in cli.ok(*asked, "--as", "approver", "--owner", "learner")
    (one,) = [one for one in cli.json("policy", "exceptions") if one["state"] == "active"]
    assert (one["rule"], one["model"], one["granted_by"], one["owner"]) == (RULE, MODEL, "approver", "learner")
    assert RULE in cli.ok("policy", "exceptions")
    assert RULE in cli.json("policy", "exceptions", "--rules")
    never = ("policy", "except", "promotion/approved_by_another", MODEL, *asked[4:], "--as", "approver")
    assert "can't be waived for anybody" in cli.run(*never).stderr
    cli.ok("policy", "revoke", RULE, MODEL)
    assert [one["state"] for one in cli.json("policy", "exceptions")] == ["ended"]
    actions = [r["query"]["action"] for r in cli.json("policy", "decisions") if r["decision"]["allow"]]
    assert actions[-2:] == ["exception/grant", "exception/revoke"]
    assert "whole" in cli.ok("policy", "verify")
    budget = lab.control.get("/budgets?team=operations")
    assert budget["planned_nanousd_per_30_days"] > 0


def test_a_deleted_version_leaves_nothing_but_its_tombstone(cli: Cli, lab: Lab, tmp_path: Path) -> None:
    arguments = ("--variant", "v2-leaky", "missed-connection")
    environment = mlflow_environment(lab, lab.declared.trainer)
    run_job(lab, Job(name="register-v2", module="archlab.pipelines.register", args=arguments, env=environment), quiet)
    digest = next(v.tags["archlab.sha256"] for v in versions_of(lab, "missed-connection") if v.version == "2")
    cli.ok("retire", "missed-connection", "2", "--reason", "it reads the answer")
    assert cli.json("retention", "due") == []
    lab.registry().request("DELETE", "/model-versions/delete", {"name": "missed-connection", "version": "2"})
    cli.ok("audit", "evidence", "deletion", "--out", str(tmp_path / "before"))
    before = json.loads((tmp_path / "before" / "evidence.json").read_text())
    assert before["verdict"] == "exceptions"
    assert any("the artifact store has" in found for found in before["findings"][-1]["exceptions"])
    cli.ok("retention", "apply")
    cli.ok("audit", "evidence", "deletion", "--out", str(tmp_path / "after"))
    after = json.loads((tmp_path / "after" / "evidence.json").read_text())
    assert (after["verdict"], after["findings"][-1]["digest"]) == ("operated", digest)


def pass_days(lab: Lab, days: int) -> None:
    """A stretch in which nothing arrives and nobody asks: control's clock moves on, by a tick like any other."""
    start = clock(lab)
    tick = Tick(start=start, end=start + timedelta(days=days), answers=(), labels=(), usage=(), digest="0" * 64)
    lab.recorder.post("/ticks", tick.model_dump(mode="json"))


def served(lab: Lab, model: str) -> set[str]:
    return {r["version"] for r in lab.control.get("/releases")["releases"] if r["model"] == model}


def evidence(cli: Cli, out: Path) -> tuple[str, list[str]]:
    """The verdict on deletions, and what remains of the last one."""
    cli.ok("audit", "evidence", "deletion", "--out", str(out))
    found = json.loads((out / "evidence.json").read_text())
    return found["verdict"], found["findings"][-1]["exceptions"] if found["findings"] else []


def test_a_version_goes_the_whole_way_and_nothing_is_left_of_it(cli: Cli, fresh: Lab, tmp_path: Path) -> None:
    """Candidate, challenger, champion, deprecated, retired, due, deleted; each step on record, each in its time."""
    model, version = "missed-connection", "2"
    arguments = ("--variant", "v2-leaky", model)
    environment = mlflow_environment(fresh, fresh.declared.trainer)
    run_job(fresh, Job(name="register-v2", module="archlab.pipelines.register", args=arguments, env=environment), quiet)
    cli.ok("promote", model, version, "--alias", "challenger")
    cli.ok("approve", model, version)
    cli.ok("promote", model, version)
    until(lambda: served(fresh, model) == {version}, "the new champion's release")
    cli.ok("deprecate", model, version, "--sunset", "2013-12-10")
    until(lambda: "sunset" in headers(fresh, model), "the header Sunset")
    early = cli.run("retire", model, version, "--reason", "it reads the answer")
    assert (early.returncode, "lifecycle/retired_after_sunset" in early.stderr) == (1, True)
    pass_days(fresh, 9)
    cli.ok("retire", model, version, "--reason", "it reads the answer")
    until(lambda: served(fresh, model) == set(), "the end of its release")
    asked = cli.run("predict", model)
    assert asked.returncode == 1, asked.stdout
    assert "lifecycle/allowed_moves" in cli.run("promote", model, version).stderr
    cli.ok("rollback", model)
    until(lambda: served(fresh, model) == {"1"}, "the former champion's release")
    cli.ok("predict", model)

    assert cli.json("retention", "due") == []
    kept = cli.run("retention", "apply")
    assert "nothing" in (kept.stdout + kept.stderr).lower()
    pass_days(fresh, 31)
    assert [(d["model"], d["version"]) for d in cli.json("retention", "due")] == [(model, version)]
    fresh.registry().request("DELETE", "/model-versions/delete", {"name": model, "version": version})
    verdict, remains = evidence(cli, tmp_path / "before")
    assert (verdict, any("the artifact store has" in what for what in remains)) == ("exceptions", True)
    cli.ok("retention", "apply")
    assert evidence(cli, tmp_path / "after") == ("operated", [])
    assert cli.json("retention", "due") == []
    decided = [r["query"] for r in cli.json("policy", "decisions") if r["decision"]["allow"]]
    way = [q["action"] for q in decided if (q["resource"]["name"], q["resource"]["version"]) == (model, version)]
    steps = [
        "promotion/challenger",
        "promotion/champion",
        "lifecycle/deprecate",
        "lifecycle/retire",
        "retention/delete",
    ]
    assert [action for action in way if action in steps] == steps
    assert "whole" in cli.ok("policy", "verify")
    cli.ok("reset")


def quiet(_step: str, _detail: str) -> None:
    """No progress is shown."""
