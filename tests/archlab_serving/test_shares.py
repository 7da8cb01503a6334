"""Places by team: who waits, who is refused, and that nobody else notices."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping

import httpx
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, wait_for

from archlab_serving.errors import FeedError, TooManyRequestsError
from archlab_serving.feed import read_feed
from archlab_serving.metrics import Metrics
from archlab_serving.shares import WAITING_PER_PLACE, Share, Shares

INFER = "/v2/models/delay/infer"
ROWS = 4096
WIDE = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [ROWS, 5], "data": [0.0] * 5 * ROWS}]}
ZEROS = {"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [0.0] * 5}]}


@pytest.fixture
def shares(lab: Lab) -> Shares:
    return Shares(Metrics(lab.settings()))


def held(shares: Shares, places: int) -> Share:
    shares.set({"revenue": places})
    share = shares.of(b"revenue")
    assert share is not None
    return share


def test_only_a_team_that_has_a_share_keeps_to_one(shares: Shares) -> None:
    held(shares, 2)
    assert shares.of(b"operations") is None
    assert shares.of(None) is None
    shares.set({})
    assert shares.of(b"revenue") is None


def test_a_place_is_free_again_only_when_the_turn_of_the_loop_ends(shares: Shares) -> None:
    async def rush() -> tuple[list[bool], bool]:
        share = held(shares, 2)
        taken = []
        for _ in range(3):
            taken.append(share.take())
            if taken[-1]:
                share.leave()
        await asyncio.sleep(0)
        return taken, share.take()

    assert asyncio.run(rush()) == ([True, True, False], True)


def test_who_waits_goes_on_in_turn_and_the_rest_is_refused(shares: Shares) -> None:
    async def rush() -> tuple[list[int], list[TooManyRequestsError]]:
        share, order = held(shares, 1), list[int]()
        refused: list[TooManyRequestsError] = []
        assert share.take()

        async def ask(number: int) -> None:
            try:
                await share.enter()
            except TooManyRequestsError as error:
                refused.append(error)
            else:
                order.append(number)
                share.leave()

        asking = [asyncio.create_task(ask(number)) for number in range(WAITING_PER_PLACE + 3)]
        await asyncio.sleep(0)
        assert order == []
        share.leave()
        await asyncio.gather(*asking)
        return order, refused

    order, refused = asyncio.run(rush())
    assert order == list(range(WAITING_PER_PLACE))
    assert [error.retry_after_s for error in refused] == [1, 1, 1]
    assert "revenue has 1 of this server's places" in refused[0].message


def test_who_gives_up_waiting_keeps_no_place(shares: Shares) -> None:
    async def rush() -> bool:
        share = held(shares, 1)
        assert share.take()
        waiting = [asyncio.create_task(share.enter()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        share.leave()
        await waiting[1]
        share.leave()
        await asyncio.sleep(0)
        return share.take()

    assert asyncio.run(rush())


def test_whoever_is_cancelled_as_its_turn_comes_gives_it_on(shares: Shares) -> None:
    async def rush() -> bool:
        share = held(shares, 1)
        assert share.take()
        waiting = asyncio.create_task(share.enter())
        await asyncio.sleep(0)
        share.give_back()  # its turn comes, and before it runs:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await asyncio.sleep(0)
        return share.take()

    assert asyncio.run(rush())


def test_whoever_gave_up_waiting_holds_nobody_else_up(shares: Shares) -> None:
    async def rush() -> int:
        share = held(shares, 1)
        assert share.take()
        for _ in range(3):
            waiting = [asyncio.create_task(share.enter()) for _ in range(WAITING_PER_PLACE)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            gone = await asyncio.gather(*waiting, return_exceptions=True)
        return sum(isinstance(error, asyncio.CancelledError) for error in gone)

    assert asyncio.run(rush()) == WAITING_PER_PLACE, "none of the last ones was refused for those before them"


def test_a_share_that_is_lifted_lets_everybody_go_on(shares: Shares) -> None:
    async def rush() -> None:
        share = held(shares, 1)
        assert share.take()
        waiting = asyncio.create_task(share.enter())
        await asyncio.sleep(0)
        shares.set({})
        await asyncio.wait_for(waiting, 5)

    asyncio.run(rush())


@pytest.mark.parametrize("share", [0, -1, "two", 1.5])
def test_a_feed_whose_share_is_no_number_is_not_taken(lab: Lab, share: object) -> None:
    lab.publish(shares={"online": {"revenue": share}})
    with pytest.raises(FeedError, match="not a whole number of places"):
        read_feed(lab.feed, "online")


def test_a_pool_reads_its_own_shares(lab: Lab) -> None:
    lab.publish(shares={"online": {"revenue": 3}, "other": {"operations": 1}})
    assert read_feed(lab.feed, "online").shares == {"revenue": 3}
    assert read_feed(lab.feed, "third").shares == {}


class Rush:
    """Callers of one team that all ask for much at once, until told to stop."""

    def __init__(self, server: RunningServer, team: str, callers: int) -> None:
        self.seen: Counter[int] = Counter()
        self.retry_after: set[str] = set()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server, team)) for _ in range(callers)]

    def __enter__(self) -> Rush:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, server: RunningServer, team: str) -> None:
        transport = httpx.HTTPTransport(uds=str(server.socket))
        with httpx.Client(transport=transport, base_url="http://x", timeout=30) as client:
            while not self._stop.is_set():
                reply = client.post(INFER, json=WIDE, headers={"x-archlab-team": team})
                self.seen[reply.status_code] += 1
                if reply.status_code == 429:
                    self.retry_after.add(reply.headers["retry-after"])


def ask(server: RunningServer, headers: Mapping[str, str]) -> int:
    return server.client.post(INFER, json=ZEROS, headers=dict(headers)).status_code


def test_a_rush_beyond_the_share_is_refused_and_no_other_team_is(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx(), shares={"online": {"revenue": 1}})
    server = launch.start()
    with Rush(server, "revenue", callers=WAITING_PER_PLACE + 6) as rush:
        wait_for(lambda: rush.seen[429] > 20 and rush.seen[200] > 20, "the rush to be answered and refused")
        others = Counter(ask(server, {"x-archlab-team": "operations"}) for _ in range(30))
        nobody = Counter(ask(server, {}) for _ in range(5))
    assert set(rush.seen) == {200, 429}
    assert rush.retry_after == {"1"}
    assert (others, nobody) == ({200: 30}, {200: 5})
    assert server.metric('archlab_share_refused_total{team="revenue"}') == rush.seen[429]
    sequence = lab.publish(lab.onnx())
    wait_for(lambda: server.metric("archlab_release_feed_sequence") == sequence, "the share to be lifted")
    with Rush(server, "revenue", callers=WAITING_PER_PLACE + 6) as rush:
        wait_for(lambda: rush.seen[200] > 20, "the rush to be answered")
    assert set(rush.seen) == {200}


def test_a_refusal_comes_after_the_whole_body_and_keeps_the_connection(lab: Lab, launch: Launcher) -> None:
    """Envoy ends connections, its caller's too, on which an answer comes before the request's end."""
    lab.publish(lab.onnx(), closed={"revenue": "enough for today"})
    server = launch.start()
    body = json.dumps(WIDE).encode()
    head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\nx-archlab-team: revenue\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(server.socket))
        for _ in range(2):
            connection.settimeout(0.3)
            connection.sendall(head.encode() + body[:-1])
            with pytest.raises(TimeoutError):
                connection.recv(1)
            connection.settimeout(60)
            connection.sendall(body[-1:])
            answer = b""
            while b"enough for today" not in answer:
                answer += (got := connection.recv(1 << 16))
                assert got
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"connection: close" not in answer


def test_a_refusal_waits_for_no_body_that_the_caller_asks_about_first(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx(), closed={"revenue": "enough for today"})
    server = launch.start()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(server.socket))
        head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\nx-archlab-team: revenue\r\nexpect: 100-continue\r\n"
        connection.sendall(f"{head}content-length: 9\r\n\r\n".encode())
        with connection.makefile("rb") as answer:
            said = answer.read()
    assert said.startswith(b"HTTP/1.1 429 ")
    assert b"connection: close" in said


def test_who_has_used_up_a_quota_is_told_so_until_it_is_over(lab: Lab, launch: Launcher) -> None:
    lab.publish(lab.onnx(), closed={"revenue": "team revenue has asked 5 times today"})
    server = launch.start()
    reply = server.client.post(INFER, json=ZEROS, headers={"x-archlab-team": "revenue"})
    assert (reply.status_code, reply.json()) == (429, {"error": "team revenue has asked 5 times today"})
    assert int(reply.headers["retry-after"]) >= 60
    assert ask(server, {"x-archlab-team": "operations"}) == 200
    sequence = lab.publish(lab.onnx())
    wait_for(lambda: server.metric("archlab_release_feed_sequence") == sequence, "the next day")
    assert ask(server, {"x-archlab-team": "revenue"}) == 200
