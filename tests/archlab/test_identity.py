"""Tokens: what is accepted, what is refused and why."""

from __future__ import annotations

import stat
import time
from pathlib import Path

import jwt
import pytest

from archlab import identity
from archlab.settings import LabFolder
from archlab.spec.scenario import User

USER = User(name="learner", team="platform", roles=("developer", "operator"))


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    made = LabFolder(tmp_path / "lab-a")
    identity.create_keys(made)
    return made


def test_a_token_names_its_user_team_and_roles(folder: LabFolder) -> None:
    subject = identity.Verifier(folder).subject(identity.mint(folder, USER))
    assert (subject.user, subject.team, subject.roles) == ("learner", "platform", ("developer", "operator"))


def test_an_expired_token_is_refused_and_says_so(folder: LabFolder) -> None:
    with pytest.raises(identity.TokenError, match="expired"):
        identity.Verifier(folder).subject(identity.mint(folder, USER, lifetime_s=-10))


def test_a_clock_that_was_set_back_since_makes_no_token_bad(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 3_600)
        token = identity.mint(folder, USER)
    assert identity.Verifier(folder).subject(token).user == "learner"


def test_a_token_is_not_good_for_years_because_a_clock_was_years_ahead(
    folder: LabFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with monkeypatch.context() as ahead:
        ahead.setattr(time, "time", lambda: now + 365 * 86_400)
        token = identity.mint(folder, USER)
    with pytest.raises(identity.TokenError, match="far ahead"):
        identity.Verifier(folder).subject(token)
    month = identity.mint(folder, USER, lifetime_s=30 * 86_400)
    assert identity.Verifier(folder).subject(month).user == "learner"


def test_another_labs_token_is_refused(folder: LabFolder, tmp_path: Path) -> None:
    other = LabFolder(tmp_path / "lab-b")
    identity.create_keys(other)
    with pytest.raises(identity.TokenError, match="not valid for this lab"):
        identity.Verifier(folder).subject(identity.mint(other, USER))


def test_an_unsigned_token_is_refused(folder: LabFolder) -> None:
    forged = jwt.encode({"sub": "learner", "team": "platform", "exp": 4_000_000_000}, key="", algorithm="none")
    with pytest.raises(identity.TokenError):
        identity.Verifier(folder).subject(forged)


def test_keys_are_kept_and_private(folder: LabFolder) -> None:
    before = (folder.keys / "jwt.pem").read_bytes()
    identity.create_keys(folder)
    assert (folder.keys / "jwt.pem").read_bytes() == before
    for name in ("jwt.pem", "release.pem", "signing.pem"):
        assert stat.S_IMODE((folder.keys / name).stat().st_mode) == 0o600


def test_a_new_signing_key_is_trusted_beside_the_old_one(folder: LabFolder) -> None:
    first = (folder.keys / "signing.pub.pem").read_bytes()
    assert (folder.keys / "trusted.pem").read_bytes() == first
    (folder.keys / "signing.pem").unlink()
    identity.create_keys(folder)
    second = (folder.keys / "signing.pub.pem").read_bytes()
    assert second != first
    assert (folder.keys / "trusted.pem").read_bytes() == first + second
    (folder.keys / "trusted.pem").write_bytes(second)
    identity.create_keys(folder)
    assert (folder.keys / "trusted.pem").read_bytes() == second


def test_the_header_file_is_what_curl_reads(folder: LabFolder) -> None:
    path = identity.write_header_file(folder, USER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    name, _, value = path.read_text().strip().partition(": ")
    assert name == "Authorization"
    assert identity.Verifier(folder).subject(value.removeprefix("Bearer ")).user == "learner"


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer abc"}, "abc"),
        ({"cookie": "theme=dark; archlab_token=xyz"}, "xyz"),
    ],
)
def test_a_token_comes_by_header_or_cookie(headers: dict[str, str], token: str) -> None:
    assert identity.bearer(headers) == token


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic abc"}, {"cookie": "archlab_token="}])
def test_no_token_is_an_error(headers: dict[str, str]) -> None:
    with pytest.raises(identity.TokenError, match="No token"):
        identity.bearer(headers)
