"""Model folders signed by the OpenSSF library: what archlab accepts, its verifier accepts too, and only that."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.archlab_serving.signatures import signed_model

from archlab import signing
from archlab.identity import create_keys
from archlab.settings import LabFolder
from model_folders import GRAPH, fill, graph

FILES = {"MLmodel": b"flavors: {}\n"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabFolder:
    made = LabFolder(tmp_path_factory.mktemp("keys") / "lab")
    create_keys(made)
    return made


@pytest.fixture(scope="module")
def original(lab: LabFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("model") / "model", key=lab.keys / "signing.pem", files=FILES)


@pytest.fixture
def model(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "copy"))


def upstream(folder: Path, public: Path) -> bool:
    """Whether `model-signing` itself verifies the folder against a public key."""
    from model_signing import hashing, verifying

    files = hashing.Config().set_ignored_paths(paths=[folder / signing.SIGNATURE_FILE], ignore_git_paths=False)
    config = verifying.Config().use_elliptic_key_verifier(public_key=public).set_hashing_config(files)
    try:
        config.verify(folder, folder / signing.SIGNATURE_FILE)
    except Exception:  # noqa: BLE001 it raises whatever comes
        return False
    return True


def test_what_the_pipeline_signs_verifies_here_and_there(lab: LabFolder, model: Path) -> None:
    verdict = signing.check(model, lab.keys / "trusted.pem")
    assert (verdict.state, verdict.message) == ("valid", "")
    assert verdict.files is not None
    assert verdict.files.keys() == {"MLmodel", "bom.cdx.json", "model.onnx"}
    assert upstream(model, lab.keys / "signing.pub.pem")


def test_anybody_can_check_with_the_librarys_own_command(lab: LabFolder, model: Path) -> None:
    """As docs/governance.md says; no archlab in it."""
    guide = (Path(__file__).parents[2] / "docs" / "governance.md").read_text()
    (line,) = re.findall(r"^    (python -m model_signing verify .+?[^\\])$", guide, re.MULTILINE | re.DOTALL)
    line = line.replace("\\\n", " ")
    (model / "registered_model_meta").write_text("model_name: m\n")
    words = line.replace("FOLDER", str(model)).replace("signing.pub.pem", str(lab.keys / "signing.pub.pem")).split()
    done = subprocess.run([sys.executable, *words[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (model / "model.onnx").write_bytes(graph(1.0))
    assert subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False).returncode == 1


def strange_key(folder: Path) -> None:
    other = LabFolder(folder.parent / "other")
    create_keys(other)
    signing.sign(folder, other.keys / "signing.pem")


def to_a_link(folder: Path) -> None:
    (folder / "MLmodel").rename(folder.parent / "MLmodel")
    (folder / "MLmodel").symlink_to(folder.parent / "MLmodel")


def signature_to_a_link(folder: Path) -> None:
    (folder / "model.sig").rename(folder.parent / "model.sig")
    (folder / "model.sig").symlink_to(folder.parent / "model.sig")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "unsigned": (lambda f: (f / "model.sig").unlink(), "absent"),
    "empty signature": (lambda f: (f / "model.sig").write_bytes(b""), "absent"),
    "not a signature": (lambda f: (f / "model.sig").write_bytes(b"signed, me"), "unreadable"),
    "another key": (strange_key, "unknown_key"),
    "tampered model": (lambda f: (f / "model.onnx").write_bytes(GRAPH + b"\0"), "differs"),
    "another model": (lambda f: (f / "model.onnx").write_bytes(graph(1.0)), "differs"),
    "changed bill of materials": (lambda f: (f / "bom.cdx.json").write_text("{}"), "differs"),
    "file added": (lambda f: (f / "more.txt").write_text("x"), "differs"),
    "file below added": (lambda f: fill(f / "below", bill=b""), "differs"),
    "file taken away": (lambda f: (f / "MLmodel").unlink(), "differs"),
    "file renamed": (lambda f: (f / "MLmodel").rename(f / "mlmodel"), "differs"),
    "file made a link": (to_a_link, "differs"),
    "signature made a link": (signature_to_a_link, "absent"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_told_and_the_library_agrees(lab: LabFolder, model: Path, change: str) -> None:
    spoil, expected = CHANGES[change]
    spoil(model)
    verdict = signing.check(model, lab.keys / "trusted.pem")
    assert verdict.state == expected
    assert verdict.message
    if change != "signature made a link":  # it follows links to a signature
        assert not upstream(model, lab.keys / "signing.pub.pem")


def test_signatures_of_tests_are_those_of_the_library(lab: LabFolder, model: Path) -> None:
    """What stands in for it elsewhere is held to its verifier here."""
    key = load_pem_private_key((lab.keys / "signing.pem").read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    verdict = signing.check(model, lab.keys / "trusted.pem")
    assert verdict.files is not None
    (model / "model.sig").write_text(signed_model(verdict.files, key))
    assert signing.check(model, lab.keys / "trusted.pem").state == "valid"
    assert upstream(model, lab.keys / "signing.pub.pem")


def test_a_second_key_may_be_trusted_and_the_first_no_more(lab: LabFolder, model: Path, tmp_path: Path) -> None:
    other = LabFolder(tmp_path / "second")
    create_keys(other)
    both = tmp_path / "trusted.pem"
    both.write_bytes((lab.keys / "signing.pub.pem").read_bytes() + (other.keys / "signing.pub.pem").read_bytes())
    assert signing.check(model, both).state == "valid"
    assert signing.check(model, other.keys / "trusted.pem").state == "unknown_key"
    assert signing.check(model, tmp_path / "nowhere.pem").state == "unknown_key"


def test_signing_again_replaces_the_signature(lab: LabFolder, model: Path) -> None:
    (model / "model.onnx").write_bytes(graph(2.0))
    signing.sign(model, lab.keys / "signing.pem")
    assert signing.check(model, lab.keys / "trusted.pem").state == "valid"
