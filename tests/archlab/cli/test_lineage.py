"""What `archlab lineage` prints, and what it makes of its arguments."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from archlab.cli import lineage
from archlab.errors import UsageError, UserError
from archlab.lineage import served
from archlab.spec.lineage import Lineage
from lineage_world import MODEL, ONNX, World


def text(found: Lineage) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(lineage.drawn(found), soft_wrap=True)
    return out.getvalue()


def champion(world: World) -> Lineage:
    return served.of_alias(world.facts(), MODEL, "champion")


def test_the_tree_goes_down_to_the_source_files_and_draws_nothing_twice() -> None:
    drawn = text(champion(World()))
    assert drawn.startswith(f"alias {MODEL}@champion")
    assert f"version registry/{MODEL}/1  sha256 {ONNX[:12]}" in drawn
    assert drawn.count("source file source/airline/weather.csv  sha256") == 1
    assert "typed data flights.parquet: see above" in drawn
    assert f"by train.{MODEL}, event 8" in drawn


def test_every_input_of_every_node_is_drawn_or_named() -> None:
    found = champion(World())
    named = sum(line.count(",") + 1 for line in text(found).splitlines() if line.endswith(": see above"))
    edges = sum(len(node.inputs) for node in found.nodes)
    assert edges > len(found.nodes)
    assert edges == len(found.nodes) - 1 + named


def test_a_missing_link_stands_where_it_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    found = champion(World().lacking("training set"))
    lines = text(found).splitlines()
    (at,) = (n for n, line in enumerate(lines) if "missing" in line)
    assert "training set" in lines[at - 1]
    assert "no event says which run made it" in lines[at]
    with pytest.raises(UserError, match=r"1 link is missing\. training set .* no event says") as caught:
        lineage._show(found.model_dump(mode="json"), as_json=True)
    assert "cache/training" in caught.value.remedy
    assert caught.value.exit_code == 1
    assert Lineage.model_validate_json(capsys.readouterr().out) == found


@pytest.mark.parametrize(
    ("target", "prediction", "query"),
    [
        ("flight-time@champion", None, {"model": "flight-time", "alias": "champion"}),
        ("flight-time/12", None, {"model": "flight-time", "version": "12"}),
        (None, "a/b@c", {"prediction": "a/b@c"}),
        ("flight-time", "id", {"prediction": "id", "model": "flight-time"}),
    ],
)
def test_targets(target: str | None, prediction: str | None, query: dict[str, str]) -> None:
    assert lineage._query(target, prediction) == query


@pytest.mark.parametrize("target", ["flight-time", "flight-time@", "@champion", "flight-time/x", "/1", ""])
def test_other_targets_are_told_how_to_write_them(target: str) -> None:
    with pytest.raises(UsageError, match="neither MODEL@champion nor MODEL/VERSION"):
        lineage._query(target, None)


def test_events_are_written_as_json_lines_to_a_new_file(tmp_path: Path) -> None:
    records = [record.model_dump(mode="json") for record in World().records()]
    out = tmp_path / "new" / "events.jsonl"
    lineage._write(records, out)
    events = [json.loads(line) for line in out.read_text().splitlines()]
    assert {event["eventType"] for event in events} == {"START", "COMPLETE"}
    assert len(events) == len(records)
    with pytest.raises(UserError, match="exists"):
        lineage._write(records, out)
