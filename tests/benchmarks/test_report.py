"""Reports: the same in Markdown and JSON, and nobody silently missing."""

from __future__ import annotations

import json

import pytest
from benchmarks.serving.goals import compare
from benchmarks.serving.machine import Cores, Machine
from benchmarks.serving.processes import Memory
from benchmarks.serving.report import Process, Report
from benchmarks.serving.rounds import Cell, Round, Schedule

SINGLE, BATCH = Cell("trees", "json", 1, 16), Cell("trees", "binary", 128, 64)


@pytest.fixture
def report() -> Report:
    machine = Machine("2013-06-01 04:00 UTC", "a processor", 2, 24, "Linux x86_64", (0.5, 0.4, 0.3))
    made = Report(
        machine=machine,
        cores=Cores(frozenset({1}), frozenset({0})),
        schedule=Schedule(1.0, 2),
        base="us",
        title="Side by side",
        models={"trees": "a hundred trees"},
        configurations={"us": "as users run it", "them": "as documented"},
        versions={"theirs": {"them": "1.7.1"}},
        absent={"others": "not built: no wheel"},
        problems=["them: binary: not offered"],
    )
    ours = [Round(2000.0, 400.0, 900.0, 80.0, 0.2), Round(1000.0, 800.0, 950.0, 90.0, 0.2)]
    theirs = [Round(500.0, 1600.0, 4000.0, 320.0, 0.1), Round(250.0, 3200.0, 4000.0, 320.0, 0.1)]
    made.results = {SINGLE: {"us": ours, "them": theirs}, BATCH: {"us": ours}}
    made.processes = {"us": Process([0.4, 0.3, 0.5], Memory(100_000_000, None, 1), Memory(110_000_000, 60, 1), 0.004)}
    made.comparisons = compare(made.results, "trees", "us", [], ["them"])
    return made


def test_a_line_has_medians_with_spread_and_the_ratio_to_the_base(report: Report) -> None:
    lines = report.markdown().splitlines()
    assert "## JSON, single rows, model `trees`" in lines
    assert "| 16 | them | 375 [250, 500] | 0.250 [0.250, 0.250] | 2,400 | 4,000 | 320 [320, 320] | 10 |" in lines
    assert lines.index("## binary tensor data, 128-row tensors, model `trees`") > lines.index(
        "## JSON, single rows, model `trees`"
    )
    assert "| us | 0.40 [0.30, 0.50] | 1 | 100 | - | 110 | 0 | 0.4 |" in lines


def test_machine_date_versions_and_configurations_are_said(report: Report) -> None:
    text = report.markdown()
    for said in ("2013-06-01 04:00 UTC", "2 cores (a processor)", "core 0; the client on core 1", "them 1.7.1"):
        assert said in text
    assert "- them: as documented" in text


def test_a_missed_goal_stands_before_the_tables(report: Report) -> None:
    text = report.markdown()
    assert 0 < text.index("MISSED: 4.00 [4.00, 4.00] times the best peer of each round") < text.index("## JSON")


def test_who_is_absent_and_what_failed_is_said(report: Report) -> None:
    tail = report.markdown().partition("## Not measured")[2]
    assert tail.split("\n")[2:4] == ["- others: not built: no wheel", "- them: binary: not offered"]


def test_the_document_holds_every_round(report: Report) -> None:
    document = json.loads(json.dumps(report.document()))
    (first, *_) = document["results"]
    assert (first["contender"], first["connections"]) == ("us", 16)
    assert [r["rate"] for r in first["rounds"]] == [2000.0, 1000.0]
    assert document["machine"]["date"] == "2013-06-01 04:00 UTC"
    assert document["comparisons"][0]["reached"] is False
    assert document["absent"] == {"others": "not built: no wheel"}
