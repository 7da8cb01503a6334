"""Ends and exceptions in a running lab: what callers are told, what the command line shows, what the log keeps."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from archlab.lab import Lab
from archlab.lab.asking import example
from archlab.lab.facts import versions_of
from archlab.lab.work import mlflow_environment, run_job
from archlab.spec.job import Job
from harness import Cli

pytestmark = pytest.mark.lab
MODEL, RULE = "flight-time", "promotion/enough_holdout"
WITHIN_S = 15.0


def headers(lab: Lab, model: str = MODEL) -> dict[str, str]:
    """Of an answer through the gateway."""
    request = urllib.request.Request(
        f"{lab.endpoints.gateway}/v2/models/{model}/infer",
        data=json.dumps(example(lab, model, [])).encode(),
        headers={"Authorization": f"Bearer {lab.token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
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


def quiet(_step: str, _detail: str) -> None:
    """No progress is shown."""
