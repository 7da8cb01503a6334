from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from archlab.files import file_sha256
from archlab.registry import evidence as ev
from archlab.registry.artifacts import model_file
from archlab.registry.content import LabContent
from archlab.settings import LabFolder
from gated_registry import BUSINESS_NOW, GOOD_TAGS

VERSION = ev.Version(
    name="m",
    version="2",
    run_id="r",
    source="s",
    tags={**GOOD_TAGS, ev.AUTHOR: "ada", ev.SHA256: "a" * 64},
    metrics={"auc": 0.78, "loss": float("nan")},
    onnx_sha256="a" * 64,
)


def test_everything_known_is_there() -> None:
    found = ev.promotion(VERSION, None, ["hour"], BUSINESS_NOW)
    version = found["version"]
    assert found["has_champion"] is False
    assert found["known_at_request"] == ["hour"]
    assert (version["metric"], version["value"], version["baseline"]) == ("auc", 0.78, 0.65)
    assert version["metrics"] == {"auc": 0.78}
    assert version["evaluated_age_days"] == 2.0
    assert version["onnx"] == {"sha256": "a" * 64, "registered_sha256": "a" * 64, "parity_max_abs_diff": 2e-07}
    assert version["columns"][1] == {"name": "temp", "source": "weather"}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("tag", "field"),
    [("archlab.baseline", "baseline"), ("archlab.columns", "columns"), ("archlab.evaluated_at", "evaluated_at")],
)
@pytest.mark.parametrize("text", ["", "nonsense", "nan", "[1]", "2013-11-04T08:00:00"])
def test_what_can_not_be_read_is_left_out(tag: str, field: str, text: str) -> None:
    found = ev.promotion(replace(VERSION, tags={**VERSION.tags, tag: text}), None, None, BUSINESS_NOW)
    assert field not in found["version"]
    assert "known_at_request" not in found


def test_the_champion_is_compared_by_the_versions_metric() -> None:
    champion = replace(VERSION, version="1", metrics={"auc": 0.7, "mae": 5.0})
    assert ev.promotion(VERSION, champion, None, BUSINESS_NOW)["champion"]["value"] == 0.7
    other = replace(champion, metrics={"mae": 5.0})
    assert "value" not in ev.promotion(VERSION, other, None, BUSINESS_NOW)["champion"]


def test_an_approval_holds_for_what_was_approved() -> None:
    signed = {**VERSION.tags, ev.APPROVED_EVIDENCE: ev.fingerprint(VERSION), ev.APPROVED_BY: "grace"}
    approved = replace(VERSION, tags=signed)

    def changed(version: ev.Version) -> object:
        return ev.promotion(version, None, None, BUSINESS_NOW)["version"]["changed_since_approval"]

    assert changed(approved) is False
    assert changed(replace(approved, tags={**signed, "note": "free", ev.PROMOTED_AT: "x"})) is False
    assert changed(replace(approved, metrics={"auc": 0.99})) is True
    assert changed(replace(approved, onnx_sha256="b" * 64)) is True
    assert changed(replace(approved, tags={**signed, "archlab.baseline": "0.1"})) is True


def test_model_file(tmp_path: Path) -> None:
    assert model_file(None) is None
    assert model_file(tmp_path / "nowhere") is None
    (tmp_path / "model.onnx").write_bytes(b"x")
    found = model_file(tmp_path)
    assert found is not None
    assert file_sha256(found) == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "model.onnx").write_bytes(b"y")
    assert model_file(tmp_path) is None


def test_content_follows_its_files(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    content = LabContent(folder)
    assert content.team("m") == ""
    assert content.known_at_request("m") is None
    folder.scenario.write_text(json.dumps({"models": [{"name": "m", "team": "operations"}]}))
    (tmp_path / "known_columns.json").write_text('{"m": ["hour"]}')
    assert content.team("m") == "operations"
    assert content.known_at_request("m") == ["hour"]
    (tmp_path / "known_columns.json").write_text("half a fi")
    assert content.known_at_request("m") is None


def test_age_counts_business_days() -> None:
    late = replace(
        VERSION, tags={**GOOD_TAGS, "archlab.evaluated_at": (BUSINESS_NOW + timedelta(hours=12)).isoformat()}
    )
    assert ev.promotion(late, None, None, BUSINESS_NOW)["version"]["evaluated_age_days"] == -0.5
