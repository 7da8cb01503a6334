from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from archlab.errors import SpecError
from archlab.policy.bundle import BundleError, load, publish
from archlab.settings import LabFolder

HEADER = "package archlab.rules.promotion.own\n\nimport rego.v1\n\n"


def test_publishing_is_deterministic_and_signed(folder: LabFolder) -> None:
    digest = publish(folder)
    signed = load(folder)
    assert signed.digest == digest == publish(folder)
    assert list(signed.bundle.modules) == sorted(signed.bundle.modules)
    assert {"archlab/main.rego", "archlab/index.rego"} <= signed.bundle.modules.keys()
    assert not [name for name in signed.bundle.modules if name.endswith("_test.rego")]
    assert str(folder.root) not in (folder.bundle / "bundle.json").read_text()


def test_a_learners_rule_joins(folder: LabFolder, rule_file: Path) -> None:
    before = publish(folder)
    rule_file.write_text(HEADER + "default allow := false\n\nallow if input.evidence.version.value > 0.9\n")
    assert publish(folder) != before
    assert ("promotion", "own", "lab") in {(r.area, r.name, r.origin) for r in load(folder).bundle.rules}


def test_the_sequence_grows_with_every_change(folder: LabFolder, rule_file: Path) -> None:
    for expected in (1, 2, 3):
        rule_file.write_text(HEADER + f"default allow := false\n\nallow if input.evidence.version.value > {expected}\n")
        digest = publish(folder)
        assert (load(folder).bundle.sequence, load(folder).digest) == (expected, digest)
        assert publish(folder) == digest
    (folder.bundle / "bundle.sig").unlink()
    publish(folder)
    assert load(folder).bundle.sequence == 4


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"sequence": "x"}', b'{"sequence": 1e300}', b'{"sequence": -1}'])
def test_a_bundle_that_can_not_be_read_is_followed_by_a_higher_one(folder: LabFolder, content: bytes) -> None:
    publish(folder)
    (folder.bundle / "bundle.json").write_bytes(content)
    publish(folder)
    assert load(folder).bundle.sequence > 1_000_000_000


@pytest.mark.parametrize(
    ("text", "where", "fault"),
    [
        ("allow if {\n\tinput.a ==\n}\n", "own.rego:6", "Invalid"),
        ("allow if {\n\tinput.a == 1\n", "own.rego:5", "unclosed"),
        ("allow if inptu.evidence.version\n", "own.rego:5", "inptu is never given a value"),
        ("allow if nosuch(input.a)\n", "own.rego:5", "no function nosuch"),
        ("allow { input.a }\n", "own.rego:5", "write `if`"),
        ("allow if data.x with input as {}\n", "own.rego:5", "`with` belongs in tests"),
        ("permit if input.a\n", "own.rego:1", "defines no `allow`"),
        ("allow := true\n\nallow := false\n", "own.rego", ""),
        ("allow := true\n\nrequires := 3\n", "own.rego", "`requires` has to be a set"),
        ('allow := true\n\nrequires := {"a b"}\n', "own.rego", "`requires` has to be a set"),
        ('allow := true\n\nactions := {"x\\" or true"}\n', "own.rego", "`actions` has to be a set"),
    ],
)
def test_a_rule_that_does_not_compile_is_refused(
    folder: LabFolder, rule_file: Path, text: str, where: str, fault: str
) -> None:
    in_force = publish(folder)
    rule_file.write_text(HEADER + text)
    with pytest.raises(SpecError) as caught:
        publish(folder)
    assert f"{rule_file.parent}/{where}" in caught.value.message
    assert fault in caught.value.message
    assert load(folder).digest == in_force


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("promotion/own/own.rego", "package other\n\nimport rego.v1\n\nallow := true\n", "the package has to be"),
        ("promotion/own/own.rego", "package archlab.rules.promotion.own\n\nallow := true\n", "`import rego.v1`"),
        ("promotion/own/other.rego", HEADER + "allow := true\n", "there is no own.rego"),
        ("promotion/my-rule/my-rule.rego", HEADER, "can't be part of a Rego package"),
        ("archlab/main/main.rego", HEADER, "reserved"),
        ("promotion/onnx_matches/onnx_matches.rego", HEADER, "name of a built-in rule"),
        ("promotion/own/own.rego", "#" * 70_000, "a rule may have"),
    ],
)
def test_a_rule_in_the_wrong_place_is_refused(folder: LabFolder, path: str, text: str, fault: str) -> None:
    file = folder.policies / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(SpecError, match=fault.replace("`", "`")):
        publish(folder)
    assert not folder.bundle.exists()


def test_a_rule_that_ends_the_interpreter_is_refused(folder: LabFolder, rule_file: Path) -> None:
    """rego-cpp 1.5 aborts on this `with`; in a helper the linter would refuse it first, so the trial is asked alone."""
    from archlab.policy.check import _trial

    module = HEADER + "base := {}\n\nallow if data.archlab.rules.promotion.own.x with input as base\n\nx if input.a\n"
    with pytest.raises(SpecError, match="the interpreter ended"):
        _trial({"modules": {"own.rego": module}, "rules": ["archlab.rules.promotion.own"]}, [])


def test_a_changed_bundle_is_refused(folder: LabFolder) -> None:
    publish(folder)
    file = folder.bundle / "bundle.json"
    content = json.loads(file.read_text())
    content["modules"]["archlab/main.rego"] = "package archlab\n\ndecision := {}\n"
    file.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="changed after it was signed"):
        load(folder)


@pytest.mark.parametrize("signature", [b"", b"not base64!", base64.b64encode(b"x" * 64)])
def test_a_wrong_signature_is_refused(folder: LabFolder, signature: bytes) -> None:
    publish(folder)
    (folder.bundle / "bundle.sig").write_bytes(signature)
    with pytest.raises(BundleError):
        load(folder)


def test_an_absent_bundle_is_refused(folder: LabFolder) -> None:
    with pytest.raises(BundleError, match="can't be read"):
        load(folder)


def test_another_labs_signature_is_refused(folder: LabFolder, tmp_path: Path) -> None:
    from archlab.identity import create_keys

    other = LabFolder(tmp_path / "other")
    create_keys(other)
    publish(other)
    publish(folder)
    (folder.bundle / "bundle.sig").write_bytes((other.bundle / "bundle.sig").read_bytes())
    with pytest.raises(BundleError, match="changed after it was signed"):
        load(folder)
