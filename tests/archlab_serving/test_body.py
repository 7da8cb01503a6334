"""Reading and packing bodies, apart from any server."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archlab_serving.body import PACK_FROM_BYTES, ClientGoneError, pack, preferred, read, unpack
from archlab_serving.errors import BadRequestError, BodyTooLargeError, RequestTimeoutError, UnsupportedEncodingError

NEVER_S = 3600.0


def arriving(*messages: dict[str, Any], waits: bool) -> Any:
    """ASGI's `receive`: these messages, at once or each after a turn of the loop, and then nothing for ever."""
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if waits:
            await asyncio.sleep(0)
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def parts(*contents: bytes) -> list[dict[str, Any]]:
    last = len(contents) - 1
    return [{"type": "http.request", "body": c, "more_body": i < last} for i, c in enumerate(contents)]


def reading(receive: Any, limit: int = 100, timeout_s: float = NEVER_S, **headers: bytes) -> bytes:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return asyncio.run(read(named, receive, limit, timeout_s))


@pytest.mark.parametrize("waits", [False, True])
@given(contents=st.lists(st.binary(max_size=30), min_size=1, max_size=5))
def test_a_body_is_the_sum_of_its_parts(waits: bool, contents: list[bytes]) -> None:
    whole = b"".join(contents)
    assert reading(arriving(*parts(*contents), waits=waits), limit=len(whole)) == whole
    if whole:
        with pytest.raises(BodyTooLargeError, match=f"more than {len(whole) - 1} bytes"):
            reading(arriving(*parts(*contents), waits=waits), limit=len(whole) - 1)


def test_a_body_that_says_that_it_is_too_large_is_not_read() -> None:
    with pytest.raises(BodyTooLargeError, match="has 101 bytes; at most 100"):
        reading(arriving(waits=True), content_length=b"101")


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("sent", [(), (b"half",)])
def test_a_body_that_stops_is_given_up(waits: bool, sent: tuple[bytes, ...]) -> None:
    begun = [{**part, "more_body": True} for part in parts(*sent)]
    with pytest.raises(RequestTimeoutError, match=r"not whole 0.01 s after its head"):
        reading(arriving(*begun, waits=waits), timeout_s=0.01)


def test_a_body_that_trickles_is_given_up() -> None:
    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": True}

    with pytest.raises(RequestTimeoutError):
        reading(receive, timeout_s=0.05)


@pytest.mark.parametrize("waits", [False, True])
def test_a_caller_that_hangs_up_is_told_from_one_that_is_slow(waits: bool) -> None:
    for begun in ([], [{"type": "http.request", "body": b"x", "more_body": True}]):
        with pytest.raises(ClientGoneError):
            reading(arriving(*begun, {"type": "http.disconnect"}, waits=waits))


def test_cancelling_reaches_the_wait() -> None:
    ended: list[str] = []

    async def receive() -> dict[str, Any]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("receive")
        raise AssertionError("unreachable")

    async def scenario() -> None:
        task = asyncio.create_task(read({}, receive, 100, NEVER_S))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert ended == ["receive"]


PACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"identity": bytes,
}


@pytest.mark.parametrize("encoding", PACKERS)
@given(content=st.binary(max_size=200))
def test_packed_bodies_are_unpacked(encoding: bytes, content: bytes) -> None:
    packed = PACKERS[encoding](content)
    assert unpack(packed, encoding, len(content)) == content
    if encoding == b"identity":
        return
    with pytest.raises(BadRequestError, match="ends too early"):
        unpack(packed[:-1], encoding, len(content))
    if content:
        with pytest.raises(BodyTooLargeError, match="unpacks to more than"):
            unpack(packed, encoding, len(content) - 1)


@given(content=st.binary(max_size=60), encoding=st.sampled_from([b"gzip", b"deflate"]))
def test_what_is_not_packed_is_refused(content: bytes, encoding: bytes) -> None:
    with pytest.raises(BadRequestError):
        unpack(b"no" + content, encoding, 100)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(UnsupportedEncodingError, match="Content-Encoding 'br' is not offered"):
        unpack(b"", b"br", 100)


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        (b"gzip", b"gzip"),
        (b"deflate", b"deflate"),
        (b"gzip, deflate", b"gzip"),
        (b"deflate, gzip;q=0.5", b"deflate"),
        (b"GZIP;Q=0.5 , br", b"gzip"),
        (b"gzip;q=0", None),
        (b"gzip;q=0.5, identity", None),
        (b"gzip;q=high", None),
        (b"br", None),
        (b"*", None),
        (b"", None),
    ],
)
def test_what_the_caller_prefers(accepted: bytes, encoding: bytes | None) -> None:
    assert preferred(accepted) == encoding


@pytest.mark.parametrize("size", [PACK_FROM_BYTES, 1 << 20])
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate"])
def test_answers_are_packed(encoding: bytes, size: int) -> None:
    content = b"ab" * (size // 2)
    packed, used = asyncio.run(pack(content, encoding))
    assert used == encoding
    assert len(packed) < len(content)
    assert unpack(packed, encoding, size) == content


def test_answers_that_packing_does_not_shorten_stay() -> None:
    short = b"a" * (PACK_FROM_BYTES - 1)
    assert asyncio.run(pack(short, b"gzip")) == (short, None)
    noise = random.Random(7).randbytes(4 * PACK_FROM_BYTES)
    assert asyncio.run(pack(noise, b"gzip")) == (noise, None)


@given(st.binary(max_size=40))
def test_any_accept_encoding_is_read(accepted: bytes) -> None:
    assert preferred(accepted) in (None, b"gzip", b"deflate")
