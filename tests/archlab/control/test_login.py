"""Logging a browser in: one code, once, for a minute; the token never stands in an address."""

from __future__ import annotations

import pytest

from archlab.control.login import LIFETIME_S, LoginCodes, LoginError, local_path
from control_process import VIEWER, Control


def test_a_code_sets_the_cookie_once(idle: Control) -> None:
    with idle.client(VIEWER) as client:
        code = client.post("/login-codes").json()
    assert code["path"] == f"/login/{code['code']}"
    with idle.client(None) as browser:
        first = browser.get(code["path"], params={"next": "/control/"})
        assert first.status_code == 303
        assert first.headers["location"] == "/control/"
        cookie = first.headers["set-cookie"]
        assert cookie.startswith("archlab_token=")
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert browser.get("/clock").status_code == 200
        again = browser.get(code["path"])
        assert again.status_code == 401
        assert "used already" in again.json()["error"]


def test_a_code_needs_a_token(idle: Control) -> None:
    with idle.client(None) as client:
        assert client.post("/login-codes").status_code == 401


def test_a_code_expires() -> None:
    now = [0.0]
    codes = LoginCodes(lambda: now[0])
    early, late = codes.issue("token"), codes.issue("token")
    now[0] = LIFETIME_S - 0.1
    assert codes.redeem(early) == "token"
    now[0] = LIFETIME_S
    with pytest.raises(LoginError):
        codes.redeem(late)


@pytest.mark.parametrize("path", ["/mlflow/", "/control/?a=b", "/mlflow/#/models/x"])
def test_a_browser_is_sent_on_within_the_site(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nSet-Cookie: b"]
)
def test_a_browser_is_sent_nowhere_else(path: str) -> None:
    assert local_path(path) == "/mlflow/"


def test_the_page_shows_clock_and_scoreboard(idle: Control) -> None:
    with idle.client(VIEWER) as client:
        page = client.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Mon 02 Dec 2013, 08:00Z" in page.text
    assert "departure-delay" in page.text
    assert 'href="/mlflow/"' in page.text
    assert "<script" not in page.text
    assert "://" not in page.text
