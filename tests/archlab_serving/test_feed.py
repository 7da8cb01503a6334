from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.archlab_serving.conftest import POOL, Lab, write_json

from archlab.spec.release import Release as SpecRelease
from archlab_serving.errors import FeedError, RefusedReleaseError
from archlab_serving.feed import Release, read_blob, read_feed, read_public_key, verify


def published(lab: Lab, entry: dict[str, Any]) -> Release:
    lab.publish(entry)
    (release,) = read_feed(lab.feed, POOL).releases
    return release


def test_only_the_pools_releases_are_read(lab: Lab) -> None:
    lab.publish(lab.onnx(), lab.onnx(model="other", pool="elsewhere"))
    feed = read_feed(lab.feed, POOL)
    assert feed.sequence == 1
    assert [release.id for release in feed.releases] == ["delay:1"]


def test_the_statement_is_the_one_that_archlab_signs(lab: Lab) -> None:
    entry = lab.onnx()
    theirs = json.dumps(SpecRelease.model_validate(entry).statement(), sort_keys=True, separators=(",", ":"))
    assert published(lab, entry).statement() == theirs.encode()


ENDS: dict[str, Any] = {"deprecated": "2013-11-06T08:00:00Z", "sunset": "2013-12-21T00:00:00Z"}


def test_what_is_deprecated_tells_its_callers_in_the_rfcs_forms(lab: Lab) -> None:
    release = published(lab, lab.onnx(**ENDS))
    assert release.notices == (
        (b"deprecation", b"@1383724800"),
        (b"sunset", b"Sat, 21 Dec 2013 00:00:00 GMT"),
        (b"x-archlab-clock", b"business"),
    )
    verify(release, read_public_key(lab.public_key))
    assert published(lab, lab.onnx(deprecated=None, sunset=None)).notices == ()
    assert published(lab, lab.onnx()).notices == ()


def test_the_statement_of_something_deprecated_is_the_one_that_archlab_signs(lab: Lab) -> None:
    entry = lab.onnx(**ENDS)
    theirs = json.dumps(SpecRelease.model_validate(entry).statement(), sort_keys=True, separators=(",", ":"))
    assert published(lab, entry).statement() == theirs.encode()


@pytest.mark.parametrize("sunset", ["soon", 7, ""])
def test_a_sunset_that_is_no_time_is_a_damaged_feed(lab: Lab, sunset: Any) -> None:
    lab.publish(lab.onnx(deprecated=ENDS["deprecated"], sunset=sunset))
    with pytest.raises(FeedError):
        read_feed(lab.feed, POOL)


def test_a_good_release_verifies(lab: Lab) -> None:
    release = published(lab, lab.onnx())
    verify(release, read_public_key(lab.public_key))
    assert read_blob(lab.feed.parent, release, 1 << 20)


def refusal(lab: Lab, entry: dict[str, Any]) -> str:
    release = published(lab, entry)
    with pytest.raises(RefusedReleaseError) as caught:
        take(lab, release)
    return caught.value.reason


def take(lab: Lab, release: Release) -> None:
    verify(release, read_public_key(lab.public_key))
    read_blob(lab.feed.parent, release, 1 << 20)


@pytest.mark.parametrize("name", ["id", "version", "decision_id", "sha256", "source_sha256", "decision_sha256"])
def test_a_field_changed_after_signing_is_refused(lab: Lab, name: str) -> None:
    entry = lab.onnx()
    assert refusal(lab, {**entry, name: entry[name][:-1] + ("0" if entry[name][-1] != "0" else "1")}) == "signature"


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!"])
def test_a_bad_signature_is_refused(lab: Lab, signature: str) -> None:
    assert refusal(lab, {**lab.onnx(), "signature": signature}) == "signature"


def test_another_labs_signature_is_refused(lab: Lab, tmp_path: Path) -> None:
    entry = lab.onnx()
    assert refusal(lab, {**entry, "signature": Lab(tmp_path / "other").sign(entry)}) == "signature"


def test_a_decision_about_another_digest_is_refused(lab: Lab) -> None:
    assert refusal(lab, lab.onnx(decision_sha256="ab" * 32)) == "decision"


def test_a_file_that_the_decision_did_not_see_is_refused(lab: Lab) -> None:
    assert refusal(lab, lab.onnx(decision_sha256="ab" * 32, source_sha256="ab" * 32)) == "decision"


def test_a_changed_file_is_refused(lab: Lab) -> None:
    entry = lab.onnx()
    blob = lab.feed.parent / entry["path"]
    blob.write_bytes(blob.read_bytes() + b"\0")
    assert refusal(lab, entry) == "digest"


def test_a_file_that_is_too_large_is_not_read(lab: Lab) -> None:
    release = published(lab, lab.onnx())
    size = (lab.feed.parent / release.path).stat().st_size
    read_blob(lab.feed.parent, release, size)
    with pytest.raises(RefusedReleaseError, match=f"has {size} bytes; .*MAX_MODEL_BYTES allows {size - 1}") as caught:
        read_blob(lab.feed.parent, release, size - 1)
    assert caught.value.reason == "size"


def test_a_pipe_in_the_files_place_is_refused_without_waiting(lab: Lab) -> None:
    entry = lab.onnx()
    (lab.feed.parent / entry["path"]).unlink()
    os.mkfifo(lab.feed.parent / entry["path"])
    assert refusal(lab, entry) == "unreadable"


def test_an_unchanged_entry_becomes_the_same_release(lab: Lab) -> None:
    one, two = lab.onnx("1"), lab.onnx("2", role="challenger")
    lab.publish(one, two)
    before = read_feed(lab.feed, POOL)
    lab.publish(one, {**two, "signature": one["signature"]})
    after = read_feed(lab.feed, POOL, before)
    assert after.releases[0] is before.releases[0]
    assert after.releases[1] != before.releases[1]


def test_a_missing_file_is_refused(lab: Lab) -> None:
    assert refusal(lab, lab.onnx(path="blobs/gone")) == "unreadable"


@pytest.mark.parametrize("path", ["../keys/release.pub.pem", "/etc/hostname"])
def test_a_path_out_of_the_folder_is_refused(lab: Lab, path: str) -> None:
    assert refusal(lab, lab.onnx(path=path)) == "path"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"format": "archlab/release-feed/v2"}', b'{"format": 1}']
)
def test_a_damaged_feed_is_an_error(lab: Lab, content: bytes) -> None:
    lab.feed.parent.mkdir()
    lab.feed.write_bytes(content)
    with pytest.raises(FeedError, match=r"feed\.json"):
        read_feed(lab.feed, POOL)


def test_a_missing_field_is_named(lab: Lab) -> None:
    entry = lab.onnx()
    del entry["decision_id"]
    write_json(lab.feed, {"format": "archlab/release-feed/v1", "sequence": 1, "releases": [entry]})
    with pytest.raises(FeedError, match="'decision_id' is missing"):
        read_feed(lab.feed, POOL)


def test_another_kind_of_key_is_refused(lab: Lab) -> None:
    key = generate_private_key(SECP256R1()).public_key()
    lab.public_key.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(RefusedReleaseError, match="not an Ed25519"):
        read_public_key(lab.public_key)
