"""From an alias, a version and a prediction back to the sources; every link taken away in turn is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from archlab.lineage import log, names, served
from archlab.lineage.facts import Origin, Predicted
from archlab.policy import chain
from archlab.spec.lineage import Lineage, LineageArtifact
from archlab.spec.policy import PolicyResource
from archlab.spec.release import Column, ReleaseKind
from lineage_world import (
    BATCH_RUN,
    DATA,
    FLIGHTS,
    FRAME,
    MODEL,
    ONNX,
    RUN_ID,
    SOURCES,
    TABLE,
    WHEN,
    World,
    decided,
    release,
    sha256,
)

ONLINE, TABLES = World(), World(kind=ReleaseKind.TABLE)


def champion(world: World) -> Lineage:
    return served.of_alias(world.facts(), MODEL, "champion")


def prediction(world: World, **changes: Any) -> Lineage:
    release = f"{MODEL}:1" if world.kind is ReleaseKind.ONNX else f"{MODEL}:1:{BATCH_RUN}"
    facts = world.facts()
    said = Predicted(
        request_id="flight-1",
        at=facts.runs[-1].at + timedelta(seconds=1),
        model=MODEL,
        version="1",
        release=release,
        snapshot=1,
        status=200,
        shadow=False,
        keys="route=JFK-SFO",
        prediction="345.5",
    )
    return served.of_prediction(facts, replace(said, **changes))


def named(found: Lineage) -> str:
    return "\n".join(f"{gap.link}: {gap.missing}. {gap.remedy}" for gap in found.gaps)


@pytest.mark.parametrize("world", [ONLINE, TABLES], ids=["online", "batch"])
@pytest.mark.parametrize("back", [champion, prediction], ids=["champion", "prediction"])
def test_without_a_gap_it_leads_to_the_digest_of_every_source(world: World, back: Any) -> None:
    found = back(world)
    assert found.gaps == (), named(found)
    assert found.sources == {f"airline/{name}": digest for name, digest in SOURCES.items()}
    kinds = {node.kind for node in found.nodes}
    assert kinds >= {"release", "version", "decision", "model file", "training set", "view history", "typed data"}
    assert ("table" in kinds) == ("batch answers" in kinds) == (world is TABLES)
    assert ("snapshot" in kinds) == ("view rows" in kinds) == (world is ONLINE)
    nodes = {node.id: node for node in found.nodes}
    assert all(below in nodes for node in found.nodes for below in node.inputs)


def test_a_version_leads_back_whether_it_serves_or_not() -> None:
    world = replace(ONLINE, changes={"releases": (), "decisions": (), "aliases": {}})
    found = served.of_version(world.facts(), MODEL, "1")
    assert found.gaps == ()
    assert len(found.sources) == len(SOURCES)


ALWAYS = {
    "ingest": ("typed data", "archlab up"),
    "features": ("view history", "archlab up"),
    "training set": ("training set", "cache/training"),
    "training": ("model file", "cache/models"),
    "registration": ("version", "archlab.pipelines.register"),
    "release": ("release", "control"),
}
LINKS = [(ONLINE, step, *said) for step, said in ALWAYS.items()]
LINKS += [(TABLES, step, *said) for step, said in ALWAYS.items()]
LINKS += [
    (ONLINE, "materialisation", "view rows", "clock advance"),
    (ONLINE, "snapshot", "snapshot", "published the snapshot"),
    (TABLES, "batch", "batch answers", "archlab batch run"),
    (TABLES, "table", "table", "archlab batch run"),
]


@pytest.mark.parametrize("back", [champion, prediction], ids=["champion", "prediction"])
@pytest.mark.parametrize(("world", "step", "kind", "remedy"), LINKS)
def test_a_run_that_is_not_on_record_is_named(back: Any, world: World, step: str, kind: str, remedy: str) -> None:
    found = back(world.lacking(step))
    assert found.gaps
    assert any(kind in gap.link and "no event says" in gap.missing for gap in found.gaps), named(found)
    assert any(remedy in gap.remedy for gap in found.gaps), named(found)


@pytest.mark.parametrize("number", range(22))
def test_an_event_deleted_from_the_log_is_named(number: int) -> None:
    whole = ONLINE.records()
    assert len(whole) == 22
    found = served.of_alias(ONLINE.facts([*whole[:number], *whole[number + 1 :]]), MODEL, "champion")
    assert found.gaps
    if number < len(whole) - 1:
        assert f"event {number + 1} is missing" in named(found)


@pytest.mark.parametrize("number", range(22))
def test_an_event_that_was_changed_is_named(number: int) -> None:
    records = ONLINE.records()
    text = records[number].event.replace('"namespace":"archlab"', '"namespace":"elsewhere"')
    assert text != records[number].event
    records[number] = records[number].model_copy(update={"event": text})
    found = served.of_alias(ONLINE.facts(records), MODEL, "champion")
    assert f"event {number + 1} was changed" in named(found)


EDITS = [
    ("ingest", SOURCES["flights.csv.zip"], "source file"),
    ("ingest", sha256(FLIGHTS), "typed data"),
    ("features", sha256(FLIGHTS), "typed data"),
    ("training set", FRAME, "training set"),
    ("training", FRAME, "training set"),
    ("training", ONNX, "model file"),
    ("training", DATA, "training"),
    ("registration", ONNX, "version"),
    ("release", ONNX, "release"),
    ("snapshot", sha256("rows"), "view rows"),
    ("snapshot", sha256("manifest"), "snapshot"),
]


@pytest.mark.parametrize(("step", "digest", "kind"), EDITS)
def test_another_digest_does_not_fit_its_neighbours_even_in_a_chain_made_anew(
    step: str, digest: str, kind: str
) -> None:
    world = replace(ONLINE, edited={step: (digest, sha256("forged"))})
    assert log.verify(world.records()) == []
    found = champion(world)
    assert any(kind in gap.link for gap in found.gaps), named(found)


def test_a_run_that_does_not_say_what_it_read_is_named() -> None:
    world = replace(ONLINE, edited={"training": ("cache/training/", "somewhere/")})
    assert "names none that it read" in named(champion(world))


def test_without_the_decision_a_champion_is_not_explained() -> None:
    found = champion(replace(ONLINE, changes={"decisions": ()}))
    assert "is not in the log" in named(found)
    assert "no decision in the log allowed version 1 as champion" in named(found)
    assert "archlab promote flight-time 1" in named(found)


def test_a_decision_about_another_file_or_other_data_is_named() -> None:
    record = decided()
    other = PolicyResource(kind="model-version", name=MODEL, version="1", digest=sha256("other"))
    query = record.query.model_copy(update={"resource": other, "evidence": {"version": {"data_digest": "d" * 64}}})
    changed = chain.append(None, query, record.decision, wall_time=record.wall_time, business_time=WHEN)
    changed = changed.model_copy(update={"id": record.id})
    found = champion(replace(ONLINE, changes={"decisions": (changed,)}))
    assert "is about file" in named(found)
    assert "was told data dddddddddddd" in named(found)


def test_an_edited_decision_log_is_named() -> None:
    record = decided()
    edited = record.model_copy(update={"wall_time": record.wall_time + timedelta(days=1)})
    faults = tuple(chain.verify([edited]))
    found = champion(replace(ONLINE, changes={"decisions": (edited,), "decision_faults": faults}))
    assert "decision log" in named(found)


@pytest.mark.parametrize(
    ("tag", "value", "said"),
    [
        ("archlab.sha256", None, "tag archlab.sha256 is missing"),
        ("archlab.sha256", "e" * 64, "eeeeeeeeeeee"),
        ("archlab.data_digest", None, "tag archlab.data_digest is missing"),
        ("archlab.data_digest", "d" * 64, "tag archlab.data_digest is dddddddddddd"),
        ("archlab.code_version", "c" * 64, "tag archlab.code_version is cccccccccccc"),
    ],
)
def test_tags_that_say_something_else_are_named(tag: str, value: str | None, said: str) -> None:
    found = champion(replace(ONLINE, tags={tag: value}))
    assert said in named(found)


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (Origin({"archlab.sha256": ONNX, "archlab.data_digest": DATA}, "f" * 32, {}), "names MLflow run ffff"),
        (Origin({"archlab.sha256": ONNX, "archlab.data_digest": DATA}, RUN_ID, None), "the registry has no run"),
        (Origin({"archlab.sha256": ONNX, "archlab.data_digest": DATA}, RUN_ID, {"data_digest": "x"}), "names data x"),
        (None, "no decision let it be deleted"),
    ],
)
def test_what_the_registry_says_otherwise_is_named(origin: Origin | None, said: str) -> None:
    found = champion(replace(ONLINE, changes={"origin": lambda _model, _version: origin}))
    assert said in named(found)


def test_a_deleted_version_leaves_a_tombstone() -> None:
    first = decided()
    about = PolicyResource(kind="registered-model", name=MODEL, version="1")
    query = first.query.model_copy(update={"action": "retention/delete", "resource": about})
    gone = chain.append(first, query, first.decision, wall_time=first.wall_time, business_time=WHEN)
    changes = {"decisions": (first, gone), "origin": lambda _m, _v: None, "releases": (), "aliases": {}}
    found = served.of_version(replace(ONLINE, changes=changes).facts(), MODEL, "1")
    assert found.gaps == (), named(found)
    (version,) = (node for node in found.nodes if node.kind == "version")
    assert version.facts["deleted"] == f"2013-12-02 by approver, decision {gone.id}"
    about_another = query.model_copy(update={"evidence": {"versions": [{"version": "1", "sha256": "e" * 64}]}})
    other = chain.append(first, about_another, first.decision, wall_time=first.wall_time, business_time=WHEN)
    found = served.of_version(replace(ONLINE, changes=changes | {"decisions": (first, other)}).facts(), MODEL, "1")
    assert "deleted file eeeeeeeeeeee" in named(found)


def test_what_is_not_served_is_said() -> None:
    assert "not served; the feed has nothing" in named(champion(replace(ONLINE, changes={"releases": ()})))
    assert "has no alias champion" in named(champion(replace(ONLINE, changes={"aliases": {}})))
    assert "published none" in named(champion(replace(ONLINE, changes={"manifest": None})))


def test_a_challenger_is_not_served_beside_tables_or_as_champion_and_that_is_no_gap() -> None:
    allowed = decided()
    query = allowed.query.model_copy(update={"action": "promotion/challenger"})
    also = chain.append(allowed, query, allowed.decision, wall_time=allowed.wall_time, business_time=WHEN)
    changes = {"aliases": {MODEL: {"champion": "1", "challenger": "1"}}, "decisions": (allowed, also)}
    for world, said in ((TABLES, "not beside tables"), (ONLINE, "as champion")):
        found = served.of_alias(replace(world, changes=changes).facts(), MODEL, "challenger")
        assert found.gaps == (), named(found)
        assert next(node for node in found.nodes if node.kind == "alias").facts["served"] == said
    other = release(allowed, ReleaseKind.TABLE).model_copy(update={"version": "9", "id": f"{MODEL}:9:run"})
    behind = champion(replace(TABLES, changes={"releases": (other,)}))
    assert f"not served; the feed has {MODEL}:9:run. archlab batch run {MODEL}" in named(behind)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (names.source("airline", "weather.csv"), "source file"),
        (FLIGHTS, "typed data"),
        (names.version(MODEL, "1"), "version"),
        (names.release(f"{MODEL}:1"), "release"),
    ],
)
@pytest.mark.parametrize(("there", "said"), [("a" * 64, "its digest is aaaaaaaaaaaa"), ("", "not there any more")])
def test_a_file_that_is_another_now_or_gone_is_named(name: str, kind: str, there: str, said: str) -> None:
    def found(artifact: LineageArtifact) -> str | None:
        return there if artifact.name == name else None

    lineage = champion(replace(ONLINE, changes={"found": found}))
    assert [gap for gap in lineage.gaps if kind in gap.link and said in gap.missing], named(lineage)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"release": ""}, "no event says that a release was published"),
        ({"release": f"{MODEL}:7"}, f"no event says that {MODEL}:7 was published"),
        ({"version": "7"}, "does not name version 7"),
        ({"snapshot": 7}, "no event says what snapshot 7 was made from"),
        ({"snapshot": 0}, "no event says what snapshot 0 was made from"),
    ],
)
def test_a_prediction_that_names_what_nobody_published_is_a_gap(changes: dict[str, Any], said: str) -> None:
    assert said in named(prediction(ONLINE, **changes))


def test_only_the_views_that_a_model_looks_up_are_followed() -> None:
    decision, views = decided(), (Column(name="x", source="route_daily"), Column(name="y", source="weather"))
    wide = release(decision, ReleaseKind.ONNX).model_copy(update={"columns": views})
    found = champion(replace(ONLINE, changes={"releases": (wide,)}))
    assert "did not read snapshots/weather" in named(found)
    narrow = wide.model_copy(update={"columns": (Column(name="distance", source="request"),)})
    kinds = {node.kind for node in champion(replace(ONLINE, changes={"releases": (narrow,)})).nodes}
    assert not kinds & {"snapshot", "view rows"}


def test_a_table_says_which_answers_it_holds() -> None:
    found = champion(TABLES)
    (table,) = (node for node in found.nodes if node.kind == "table")
    assert table.sha256 == TABLE
    assert table.made_by is not None
    assert table.made_by.job == f"table.{MODEL}"
