"""A child process that fails is told with its own words, and none is left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from archlab.world.children import ChildError, Crowd


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> object:
    (tmp_path / "said_by_child.py").write_text(body)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    async def result() -> object:
        crowd = Crowd()
        try:
            return await (await crowd.start("said_by_child")).result()
        finally:
            await crowd.stop()

    return asyncio.run(result())


def test_the_last_result_counts_and_other_words_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = """print('{"step": "a"}'); print("loose words"); print('{"result": {"rows": 3}}')"""
    assert run(tmp_path, monkeypatch, body) == {"rows": 3}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            """print('{"error": "no champion", "remedy": "promote one"}'); raise SystemExit(1)""",
            "no champion promote one",
        ),
        ("raise SystemExit(7)", "ended with code 7"),
        ("print('{}')", "without a result"),
    ],
)
def test_a_failure_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str) -> None:
    with pytest.raises(ChildError, match=said):
        run(tmp_path, monkeypatch, body)


def test_children_end_with_their_crowd() -> None:
    async def leave_running() -> list[psutil.Process]:
        crowd, others = Crowd(), set(psutil.Process().children())
        await crowd.start("http.server", "--bind", "127.0.0.1", "0")
        children = [child for child in psutil.Process().children() if child not in others]
        await crowd.stop()
        return children

    assert [child for child in asyncio.run(leave_running()) if child.is_running()] == []
