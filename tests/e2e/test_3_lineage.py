"""From what the running lab serves back to the files that its data was read from; links taken away and put back."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.pipelines.data import ingest_of
from archlab.spec.lineage import Lineage
from harness import Cli

pytestmark = pytest.mark.lab
ONLINE, BATCH = "flight-time", "route-segments"
LOGGED_WITHIN_S = 120.0


def of_champion(lab: Lab, model: str) -> Lineage:
    return Lineage.model_validate(lab.control.get(f"/lineage?model={model}&alias=champion"))


@pytest.fixture(scope="module")
def lived(cli: Cli, lab: Lab) -> Lab:
    """The lab after two ticks; one of its models is answered from tables."""
    cli.ok("clock", "advance", "1h")
    return lab


@pytest.fixture(scope="module")
def sources(lab: Lab) -> dict[str, str]:
    """Digests of the source files themselves."""
    files = ingest_of(lab.declared.business).sources()
    named = {f"{lab.declared.business}/{name}": path for name, path in files.items()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items()}


def test_every_champion_leads_back_to_the_source_files(lived: Lab, sources: dict[str, str]) -> None:
    kinds: dict[str, set[str]] = {}
    for model in lived.scenario.models:
        found = of_champion(lived, model.name)
        assert found.gaps == (), found.gaps
        assert found.sources == sources
        kinds[model.name] = {node.kind for node in found.nodes}
    assert kinds[ONLINE] >= {"decision", "model file", "training set", "snapshot", "view rows"}
    assert kinds[BATCH] >= {"table", "batch answers", "decision", "model file", "training set"}


def test_the_tree_is_drawn_and_events_are_handed_out(cli: Cli, lived: Lab, tmp_path: Path) -> None:
    drawn = cli.ok("lineage", f"{ONLINE}@champion")
    assert "source file source/airline/flights.csv.zip" in drawn
    assert "No link is missing" in drawn
    assert cli.json("lineage", f"{ONLINE}/1")["gaps"] == []
    assert "OpenLineage events" in cli.ok("lineage", "--events", str(tmp_path / "events.jsonl"))
    jobs = {json.loads(line)["job"]["name"] for line in (tmp_path / "events.jsonl").read_text().splitlines()}
    assert jobs >= {"ingest.airline", f"train.{ONLINE}", f"register.{ONLINE}", f"promote.{ONLINE}", "snapshot"}


@pytest.mark.parametrize(("model", "kind"), [(ONLINE, "snapshot"), (BATCH, "table")])
def test_one_prediction_leads_back(cli: Cli, lived: Lab, sources: dict[str, str], model: str, kind: str) -> None:
    asked = cli.json("predict", model)
    identifier = asked["answer"]["id"]
    deadline = time.monotonic() + LOGGED_WITHIN_S
    while (done := cli.run("lineage", model, "--prediction", identifier, "--json")).returncode:
        assert "No prediction log has" in done.stderr, done.stderr
        assert time.monotonic() < deadline
    found = Lineage.model_validate_json(done.stdout)
    assert found.sources == sources
    assert kind in {node.kind for node in found.nodes}
    root = next(node for node in found.nodes if node.id == found.root)
    assert root.facts["version"] == asked["answer"]["parameters"]["model_version"]


@contextmanager
def without(lab: Lab, where: str) -> Iterator[None]:
    """The log of lineage events without those that fit, as somebody with the database in hand would have it."""
    with closing(sqlite3.connect(lab.folder.control_db, timeout=30)) as db:
        rows = db.execute(f"SELECT * FROM lineage WHERE {where}").fetchall()
        assert rows
        db.execute(f"DELETE FROM lineage WHERE {where}")
        db.commit()
        try:
            yield
        finally:
            db.executemany("INSERT INTO lineage VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.commit()


@pytest.mark.parametrize(
    ("job", "link"),
    [
        ("ingest.airline", "typed data"),
        ("features.airline", "view history"),
        ("training_set.scheduled", "training set"),
        (f"train.{ONLINE}", "model file"),
        (f"register.{ONLINE}", "version"),
        (f"release.{ONLINE}", "release"),
        ("snapshot", "snapshot"),
    ],
)
def test_a_deleted_event_is_named(cli: Cli, lived: Lab, job: str, link: str) -> None:
    with without(lived, f"""event LIKE '%"name":"{job}"%' AND event_type = 'COMPLETE'"""):
        found = of_champion(lived, ONLINE)
        assert any(gap.link.startswith(link) and "no event says" in gap.missing for gap in found.gaps), found.gaps
        if job == "ingest.airline":
            said = cli.run("lineage", f"{ONLINE}@champion")
            assert said.returncode == 1
            assert "typed data" in said.stderr
            assert "missing" in said.stdout
    assert of_champion(lived, ONLINE).gaps == ()


def test_a_version_that_a_plain_client_registered_has_no_way_back(cli: Cli, lived: Lab) -> None:
    registry = lived.registry()
    first: Any = registry.get(f"/model-versions/get?name={ONLINE}&version=1")["model_version"]
    source = first["source"]
    about = {"name": ONLINE, "source": source, "model_id": source.removeprefix("models:/")}
    made: Any = registry.post("/model-versions/create", about)
    number = made["model_version"]["version"]
    said = cli.run("lineage", f"{ONLINE}/{number}")
    assert said.returncode == 1
    assert f"version registry/{ONLINE}/{number} -> the run that made it" in said.stderr
    assert "archlab.pipelines.register" in said.stderr
    body = {"name": ONLINE, "version": number}
    registry.request("DELETE", "/model-versions/delete", body)
    gone = Lineage.model_validate(lived.control.get(f"/lineage?model={ONLINE}&version={number}"))
    (version,) = (node for node in gone.nodes if node.kind == "version")
    assert "decision" in version.facts["deleted"]


def test_a_file_that_was_changed_is_named(lived: Lab) -> None:
    answers = next(node for node in of_champion(lived, BATCH).nodes if node.kind == "batch answers")
    file = lived.folder.root / answers.name
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"x")
        gaps = of_champion(lived, BATCH).gaps
    finally:
        file.write_bytes(content)
    assert [gap.missing.partition(" is ")[0] for gap in gaps] == ["its digest"], gaps
    assert of_champion(lived, BATCH).gaps == ()


def test_after_a_reset_it_is_as_right_as_before(cli: Cli, lived: Lab, sources: dict[str, str]) -> None:
    cli.ok("reset")
    for model in lived.scenario.models:
        found = of_champion(lived, model.name)
        assert found.gaps == (), found.gaps
        assert found.sources == sources
