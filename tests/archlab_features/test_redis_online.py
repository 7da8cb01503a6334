"""Feast's online store in a real Redis: the same snapshots as from the file, also after the Redis forgot something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from archlab import settings
from archlab.plan.loading import load_scenario
from archlab_features import redis_online
from archlab_features.materialize import Materializer, Written
from archlab_features.redis_online import RedisStore, connection_string
from redis_server import PASSWORD, REDIS, WITHOUT, redis_server

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
needs_redis = pytest.mark.skipif(not REDIS, reason=WITHOUT)

START = datetime(2013, 11, 4, 8, tzinfo=UTC)
TICK = timedelta(minutes=30)
EVERY = {"weather": 2 * TICK, "origin_ops": TICK, "aircraft_state": TICK, "aircraft_profile": timedelta(days=7)}

Digests = list[tuple[datetime, dict[str, str]]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as found:
        yield found


def replay(root: Path, data: Path, url: str, ticks: int = 4, start: datetime = START) -> Digests:
    online = RedisStore(url, root / "features") if url else None
    made = Materializer(root / "features", data, root / "snapshots", {}, online)
    return [(m, digests(views)) for m, views in made.ticks(start, start + ticks * TICK, TICK, EVERY)]


def digests(views: list[Written]) -> dict[str, str]:
    return {written.view: written.sha256 for written in views}


@pytest.fixture(scope="module")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Digests:
    """What the file gives."""
    return replay(tmp_path_factory.mktemp("file"), data, "")


@needs_redis
def test_snapshots_are_those_that_the_file_gives(data: Path, url: str, expected: Digests, tmp_path: Path) -> None:
    assert replay(tmp_path, data, url) == expected
    assert not (tmp_path / "features" / "online.db").exists()
    assert not (tmp_path / "features" / "state.json").exists()
    assert len(list(Redis.from_url(url).scan_iter())) > 1000
    assert replay(tmp_path, data, url) == expected, "back in time"


@needs_redis
@pytest.mark.parametrize("lost", ["everything", "one row"])
def test_what_a_redis_forgot_is_built_again(data: Path, url: str, expected: Digests, tmp_path: Path, lost: str) -> None:
    replay(tmp_path, data, url, ticks=2)
    there = Redis.from_url(url)
    own = (tmp_path / "features" / "online.id").read_text().encode()
    keys = [key for key in there.scan_iter() if own in key]
    gone = keys if lost == "everything" else [next(key for key in keys if b"state" not in key)]
    assert there.delete(*gone) == len(gone)
    after = replay(tmp_path, data, url, ticks=2, start=START + 2 * TICK)
    assert after[0][1] == {**expected[0][1], **expected[1][1], **expected[2][1]}
    assert after[1] == expected[3]


@needs_redis
def test_two_labs_in_one_redis_know_their_own_rows(data: Path, url: str, expected: Digests, tmp_path: Path) -> None:
    replay(tmp_path / "one", data, url, ticks=4)
    assert replay(tmp_path / "two", data, url, ticks=2) == expected[:2]
    RedisStore(url, tmp_path / "two" / "features").empty()
    before = RedisStore(url, tmp_path / "one" / "features").state()
    assert before == {"weather": START + 2 * TICK, "aircraft_profile": before["aircraft_profile"]} | dict.fromkeys(
        ("origin_ops", "aircraft_state"), START + 3 * TICK
    )


@pytest.fixture
def lab(data: Path, tmp_path: Path) -> Path:
    root = tmp_path / "lab"
    root.mkdir()
    (tmp_path / "cache").symlink_to(settings.home() / "cache")
    scenario = load_scenario(settings.scenarios_root() / "ten_models" / "scenario.yaml")
    (root / "scenario.json").write_text(scenario.model_dump_json())
    return root


def job(lab: Path, url: str) -> dict[str, Any]:
    """What the job says last."""
    span = ["--from", START.isoformat(), "--to", (START + TICK).isoformat(), "--every", "weather=3600"]
    ran = subprocess.run(
        [sys.executable, "-m", "archlab.pipelines.materialize", *span],
        env={**os.environ, "ARCHLAB_LAB": str(lab), "ARCHLAB_ONLINE_STORE": url},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said


@needs_redis
def test_the_job_writes_where_the_variable_says(lab: Path, url: str) -> None:
    assert job(lab, url)["result"] == {"ticks": 1}
    assert not (lab / "features" / "online.db").exists()


def test_a_redis_that_does_not_answer_is_one_message_without_a_password(lab: Path) -> None:
    said = job(lab, "redis://:secret@127.0.0.1:1/0")
    assert said["kind"] == "UnavailableError"
    assert said["error"].startswith("The online store in the Redis at 127.0.0.1:1/0 fails: ")
    assert "secret" not in json.dumps(said)


@needs_redis
def test_a_wrong_password_is_one_message(lab: Path, url: str) -> None:
    said = job(lab, url.replace("one", "two"))
    assert said["kind"] == "UnavailableError"
    assert "password" in said["error"]
    assert PASSWORD not in json.dumps(said)


def test_an_address_of_something_else_is_refused(lab: Path) -> None:
    said = job(lab, "http://127.0.0.1")
    assert said["kind"] == "UserError"
    assert said["remedy"] == "Write redis://:PASSWORD@HOST:6379/0."


TIMES = "socket_timeout=10.0,socket_connect_timeout=10.0"


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("redis://host", f"host:6379,db=0,{TIMES}"),
        ("redis://:1234@host:7000/3", f'host:7000,db=3,{TIMES},password="1234"'),
        ("rediss://ann:p%40ss@host/0", f'host:6379,db=0,{TIMES},ssl=true,username="ann",password="p@ss"'),
    ],
)
def test_a_url_is_written_as_feast_reads_it(url: str, written: str) -> None:
    assert connection_string(url) == written


@pytest.mark.parametrize(
    "url", ["http://host", "redis://", "redis://host/zero", "redis://:a,b@host", "redis://[::1]:6379"]
)
def test_what_feast_could_not_read_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"redis|number|comma|IPv6"):
        connection_string(url)


def test_the_time_that_is_waited_is_the_same_for_both_clients() -> None:
    assert f"socket_timeout={redis_online.TIMEOUT_S}" in connection_string("redis://host")
