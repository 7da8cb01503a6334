"""A lab in two regions of its own: one dies, the models go on, the registry takes writes again, nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

import another_version
from archlab.errors import ArchlabError, UserError
from archlab.lab import Lab, open_lab
from archlab.lab.asking import ask, example
from archlab.lab.evidence import collect
from archlab.lab.work import mlflow_environment
from archlab.recovery.programs import postgres_programs
from harness import Cli

NAME, SCENARIO, MODEL, PORT = "e2e-regions", "disaster-recovery", "departure-delay", 8470
WITHIN_S = 120.0


@pytest.fixture(scope="module")
def regions(cli: Cli) -> Iterator[Cli]:
    """Its command line; the lab goes when the tests are done."""
    try:
        postgres_programs()
    except UserError as error:
        pytest.skip(error.message)
    made = replace(cli, lab=NAME)
    made.ok("up", SCENARIO, "--lab", NAME, "--port", str(PORT))
    yield made
    made.run("down", "--lab", NAME, "--purge")


@dataclass
class Callers:
    """Somebody who asks a model all the time, and somebody who writes numbered tags into the registry."""

    lab: Lab
    answered: int = 0
    unanswered: list[str] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    _number: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Callers:
        self._body = example(self.lab, MODEL, [])
        self._threads = [threading.Thread(target=self._repeat, args=(act,)) for act in (self._ask, self._write)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._ended.wait(0.05):
            act()

    def _ask(self) -> None:
        try:
            ask(self.lab, MODEL, self._body)
            self.answered += 1
        except ArchlabError as error:
            self.unanswered.append(str(error))

    def _write(self) -> None:
        """A write that failed is sent again under another number: only what was acknowledged has to be there."""
        self._number += 1
        tag = {"name": MODEL, "key": f"written-{self._number}", "value": "yes"}
        try:
            self.lab.registry().post("/registered-models/set-tag", tag)
        except ArchlabError:
            return
        self.acknowledged.append(self._number)

    def wait_for(self, writes: int, answers: int) -> None:
        """Until so many more of each were good."""
        written, answered, deadline = len(self.acknowledged), self.answered, time.monotonic() + WITHIN_S
        while len(self.acknowledged) < written + writes or self.answered < answered + answers:
            assert time.monotonic() < deadline, f"{self.acknowledged[written:]}, {self.unanswered[-1:]}"
            time.sleep(0.05)


def lost(callers: Callers) -> set[int]:
    """Acknowledged writes that the registry does not have."""
    told = set(callers.acknowledged)  # before it is read: somebody may write meanwhile
    found = callers.lab.registry().get(f"/registered-models/get?name={MODEL}")["registered_model"]
    return told - {int(t["key"].rpartition("-")[2]) for t in found["tags"] if t["key"].startswith("written-")}


def register(lab: Lab, note: str) -> str:
    """Another version of the model, with weights of its own; approved and champion."""
    environment = {**os.environ, **mlflow_environment(lab, lab.declared.trainer), "ARCHLAB_LAB": str(lab.folder.root)}
    command = [sys.executable, another_version.__file__, MODEL, note]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def wait_copied(regions: Cli, since: float) -> None:
    """Until the second region, or the archive, has all artifacts that were there at a moment."""
    deadline = time.monotonic() + WITHIN_S
    while True:
        (kept,) = [c for c in regions.json("dr", "status")["copies"] if c["part"] == "artifacts"]
        if kept["age_s"] is not None and time.time() - kept["age_s"] > since and not kept["missing"]:
            return
        assert time.monotonic() < deadline, kept
        time.sleep(0.2)


def test_a_region_dies_and_comes_back_and_nothing_acknowledged_is_lost(regions: Cli) -> None:
    lab = open_lab(NAME)
    with Callers(lab) as callers:
        callers.wait_for(writes=3, answers=10)
        regions.ok("dr", "kill", "east")
        callers.wait_for(writes=0, answers=10)
        assert "west is promoted" in regions.ok("dr", "failover")
        callers.wait_for(writes=3, answers=10)
        assert not callers.unanswered, "the other region answered at once"
        assert not lost(callers)
        refused = regions.run("dr", "revive", "east")
        assert refused.returncode == 1
        assert "archlab dr failback" in refused.stderr, "what it has is old: it must not come up by itself"
        status = regions.json("dr", "status")
        assert status["state"]["primary"] == "west"
        assert {r["region"]: r["database"] for r in status["regions"]} == {"east": "none", "west": "primary"}
        regions.ok("dr", "failback")
        callers.wait_for(writes=3, answers=10)
    assert not lost(callers)
    seen = {r["region"]: r for r in regions.json("dr", "status")["regions"]}
    assert (seen["east"]["database"], seen["west"]["database"]) == ("primary", "standby")
    assert seen["west"]["follower"]["synchronous"]


def test_a_failover_that_may_lose_writes_is_refused_and_says_why(regions: Cli) -> None:
    regions.ok("dr", "set", "critical", "replication", "async")
    refused = regions.run("dr", "failover")
    assert refused.returncode == 1
    assert "replication is asynchronous" in refused.stderr
    assert "--accept-data-loss" in refused.stderr
    assert regions.json("dr", "status")["state"]["primary"] == "east", "and nothing was done"
    regions.ok("dr", "set", "critical", "replication", "sync")


def test_who_is_hurt_by_a_dead_region_is_tried_and_kept_for_grading_while_it_is_down(regions: Cli) -> None:
    regions.ok("dr", "kill", "east")
    tried = {p["key"]: p for p in regions.json("dr", "probe")["probes"]}
    assert {key for key, p in tried.items() if p["succeeded"] == p["tried"]} == {MODEL, "score"}
    assert not any(p["succeeded"] for key, p in tried.items() if key not in (MODEL, "score"))
    evidence = collect(open_lab(NAME))
    assert evidence.versions == (), "the registry is down with east"
    assert evidence.regions is not None
    assert (evidence.regions.faults[-1].what, evidence.regions.faults[-1].region) == ("kill", "east")
    assert evidence.regions.probes[-1].down == ("east",)
    assert {one.region: one.database for one in evidence.regions.regions} == {"east": "down", "west": "standby"}
    regions.ok("dr", "revive", "east")


def test_metadata_without_weights(regions: Cli) -> None:
    """Registry critical, artifacts backup-only: callers of what was promoted since the archive hear why."""
    lab = open_lab(NAME)
    regions.ok("dr", "set", "best-effort", "backup-every", "1h")
    began = time.time()
    regions.ok("dr", "assign", "artifacts", "best-effort")
    wait_copied(regions, began)
    version = register(lab, "after the archive")
    regions.ok("approve", MODEL, version)
    regions.ok("promote", MODEL, version)
    regions.ok("dr", "kill", "east")
    refused = regions.run("dr", "failover")
    assert refused.returncode == 1
    assert "of the artifacts there is nothing but an archive" in refused.stderr
    assert "--accept-data-loss" in refused.stderr
    said = regions.ok("dr", "failover", "--accept-data-loss")
    assert "files of artifacts, archived at" in said
    status = regions.json("dr", "status")
    assert [found.partition(" (")[0] for found in status["weights_missing"]] == [f"{MODEL} version {version}"]
    (unserved,) = status["unserved"]["west"]
    assert (unserved["model"], unserved["version"]) == (MODEL, version)
    body = example(lab, MODEL, [])
    with pytest.raises(ArchlabError, match="its file has not arrived in region west"):
        ask(lab, MODEL, body, version)
    regions.ok("dr", "failback")
    after = regions.json("dr", "status")
    assert after["weights_missing"] == [], "what only the lost region had is there again"
    assert after["unserved"]["east"] == []
    regions.ok("dr", "assign", "artifacts", "critical")
    regions.ok("dr", "copy")
    assert regions.json("dr", "status")["unserved"] == {"east": [], "west": []}


def test_where_promotion_is_automatic_nobody_has_to_decide(regions: Cli) -> None:
    regions.ok("dr", "set", "critical", "promotion", "automatic")
    with Callers(open_lab(NAME)) as callers:
        callers.wait_for(writes=3, answers=10)
        regions.ok("dr", "kill", "east")
        callers.wait_for(writes=3, answers=10)
    assert not lost(callers)
    assert regions.json("dr", "status")["state"]["primary"] == "west"
    assert "checks in a row failed" in regions.ok("logs", "watch")


def test_weights_without_metadata(regions: Cli) -> None:
    """Registry backup-only, artifacts critical."""
    lab = open_lab(NAME)
    regions.ok("dr", "failback")
    regions.ok("dr", "assign", "registry", "best-effort")
    version = register(lab, "of which only the weights come over")
    regions.ok("dr", "copy")
    regions.ok("dr", "kill", "east")
    refused = regions.run("dr", "failover")
    assert refused.returncode == 1
    assert "the archive is up to 3600 s behind" in refused.stderr
    regions.ok("dr", "failover", "--accept-data-loss")
    status = regions.json("dr", "status")
    assert len(status["weights_unnamed"]) == 1
    assert status["weights_missing"] == []
    known = lab.registry().get(f"/registered-models/get?name={MODEL}")["registered_model"]["latest_versions"]
    assert version not in {v["version"] for v in known}
