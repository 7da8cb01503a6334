"""What the gate measures of a version's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from archlab.identity import create_keys
from archlab.registry import supply
from archlab.settings import LabFolder
from model_folders import DATA_DIGEST, GRAPH, fill


@pytest.fixture
def lab(tmp_path: Path) -> LabFolder:
    made = LabFolder(tmp_path / "lab")
    create_keys(made)
    return made


@pytest.fixture
def model(lab: LabFolder, tmp_path: Path) -> Path:
    return fill(tmp_path / "model", key=lab.keys / "signing.pem")


def test_a_whole_folder_is_signed_described_and_self_contained(lab: LabFolder, model: Path) -> None:
    signature = supply.signature(model, lab.keys / "trusted.pem")
    assert signature.keys() == {"state", "key"}
    assert signature["state"] == "valid"
    bill = supply.materials(model, "f" * 64)
    assert bill is not None
    assert bill["sha256"] == hashlib.sha256((model / "bom.cdx.json").read_bytes()).hexdigest()
    assert bill["registered_sha256"] == "f" * 64
    assert bill["model_sha256"] == hashlib.sha256(GRAPH).hexdigest()
    assert bill["datasets"] == [DATA_DIGEST]
    graph = supply.graph(model)
    assert graph == {"readable": True, "domains": ["ai.onnx", "ai.onnx.ml"], "outside": [], "oversized": [], "nodes": 3}


def test_nowhere_there_is_nothing(lab: LabFolder, tmp_path: Path) -> None:
    for where in (None, tmp_path / "nowhere"):
        assert supply.signature(where, lab.keys / "trusted.pem")["state"] == "absent"
        assert supply.materials(where, None) is None
        assert supply.graph(where)["readable"] is False


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"[" * 100_000, b'{"bomFormat": "CycloneDX"', b"\xff\xfe", b"x" * (2 << 20)]
)
def test_what_is_no_bill_of_materials_has_a_digest_and_says_nothing(model: Path, content: bytes) -> None:
    (model / "bom.cdx.json").write_bytes(content)
    assert supply.materials(model, None) == {"sha256": hashlib.sha256(content).hexdigest()}


def test_a_link_is_no_bill_of_materials(model: Path) -> None:
    (model / "bom.cdx.json").rename(model.parent / "elsewhere.json")
    (model / "bom.cdx.json").symlink_to(model.parent / "elsewhere.json")
    assert supply.materials(model, None) is None


def test_two_models_or_a_link_are_no_graph(model: Path) -> None:
    fill(model / "below", bill=b"")
    assert supply.graph(model)["readable"] is False
    (model / "below" / "model.onnx").unlink()
    (model / "model.onnx").rename(model / "kept")
    (model / "model.onnx").symlink_to(model / "kept")
    assert supply.graph(model)["readable"] is False


@pytest.mark.parametrize(
    ("location", "escapes"),
    [
        ("w.bin", False),
        ("a/w.bin", False),
        ("../w", True),
        ("/etc/passwd", True),
        ("a\\..\\..\\w", True),
        ("C:w", True),
    ],
)
def test_paths_out_of_the_folder_are_told(location: str, escapes: bool) -> None:
    assert supply._escapes(location) is escapes
