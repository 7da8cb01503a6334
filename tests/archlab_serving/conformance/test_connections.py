"""HTTP as bytes on a socket: framing, slow and vanishing clients, too large bodies; the server keeps serving."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import orjson
import pytest
from tests.archlab_serving.conftest import Lab, Launcher, RunningServer, wait_for

INFER = "/v2/models/delay/infer"
BODY = orjson.dumps({"inputs": [{"name": "features", "datatype": "FP32", "shape": [1, 5], "data": [0, 0, 0, 0, 1]}]})
LIMIT = 1 << 20
IN_FLIGHT = "archlab_inference_in_flight"


@pytest.fixture(scope="module")
def server(shared_lab: Lab, shared_launch: Launcher) -> RunningServer:
    """Small limits, so that they are reached soon."""
    shared_lab.publish(shared_lab.onnx())
    limits = {"ARCHLAB_SERVING_BODY_TIMEOUT_S": "1", "ARCHLAB_SERVING_MAX_BODY_BYTES": str(LIMIT)}
    return shared_launch.start(port=True, extra=limits)


@pytest.fixture(autouse=True)
def serves_afterwards(server: RunningServer) -> Iterator[None]:
    """Every place is free again, and requests are answered."""
    yield
    wait_for(lambda: server.metric(IN_FLIGHT) == 0, "the places to be free")
    assert server.client.post(INFER, content=BODY).json()["outputs"][0]["data"] == [10000.0]


@contextmanager
def connected(server: RunningServer) -> Iterator[socket.socket]:
    host, _, port = server.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        yield connection


def head(*headers: str, path: str = INFER) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "host: x", *headers, "", ""]).encode()


def whole(body: bytes = BODY, *headers: str) -> bytes:
    return head(f"content-length: {len(body)}", *headers) + body


class Answers:
    """Reads one response after the other."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._read = b""

    def next(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        first, *lines = self._until(b"\r\n\r\n").decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers.get("content-length", "0"))
        while len(self._read) < size:
            self._more()
        body, self._read = self._read[:size], self._read[size:]
        return int(first.split()[1]), headers, body

    def ended(self) -> bool:
        """Whether the server has closed the connection and said nothing more."""
        try:
            return not self._read and not self._connection.recv(1)
        except ConnectionResetError:
            return True

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            self._more()
        found, _, self._read = self._read.partition(end)
        return found

    def _more(self) -> None:
        part = self._connection.recv(65536)
        if not part:
            pytest.fail(f"the server closed the connection after {self._read!r}")
        self._read += part


def message(body: bytes) -> str:
    return str(orjson.loads(body)["error"])


def under_way(server: RunningServer, requests: int = 1) -> Callable[[], bool]:
    return lambda: server.metric(IN_FLIGHT) == requests


class TestFraming:
    """How a body's end is told."""

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_a_chunked_body(self, server: RunningServer, size: int) -> None:
        parts = [BODY[start : start + size] for start in range(0, len(BODY), size)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        with connected(server) as connection:
            connection.sendall(head("transfer-encoding: chunked"))
            for start in range(0, len(chunks), 50):
                connection.sendall(chunks[start : start + 50])
            connection.sendall(b"0\r\n\r\n")
            status, _, body = Answers(connection).next()
        assert (status, orjson.loads(body)["outputs"][0]["data"]) == (200, [10000.0])

    def test_a_body_in_single_bytes(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in whole():
                connection.sendall(bytes([byte]))
            assert Answers(connection).next()[0] == 200

    @pytest.mark.parametrize(
        "sent",
        [
            head("transfer-encoding: chunked") + b"zz\r\n",
            head("content-length: 5", "content-length: 6") + b"12345",
            head("content-length: 5", "transfer-encoding: chunked") + b"0\r\n\r\n",
            head("content-length: -5"),
            head("content-length: five"),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
        ],
    )
    def test_what_is_no_http_is_400_and_the_end(self, server: RunningServer, sent: bytes) -> None:
        with connected(server) as connection:
            connection.sendall(sent)
            answers = Answers(connection)
            assert answers.next()[0] == 400
            assert answers.ended()

    def test_a_request_without_a_body(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head())
            status, _, body = Answers(connection).next()
        assert (status, message(body).startswith("the body is not JSON")) == (400, True)


class TestExpectContinue:
    """`Expect: 100-continue`: the body is sent when the server says that it takes it."""

    def test_the_body_is_asked_for(self, server: RunningServer) -> None:
        with connected(server) as connection:
            answers = Answers(connection)
            connection.sendall(head(f"content-length: {len(BODY)}", "expect: 100-continue"))
            assert answers.next()[0] == 100
            connection.sendall(BODY)
            assert answers.next()[0] == 200

    def test_too_large_a_body_is_not(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head(f"content-length: {LIMIT + 1}", "expect: 100-continue"))
            answers = Answers(connection)
            status, headers, body = answers.next()
            assert (status, headers["connection"]) == (413, "close")
            assert f"has {LIMIT + 1} bytes; at most {LIMIT} are taken" in message(body)
            assert answers.ended()


class TestPipelining:
    """Requests that don't wait for the answers before them."""

    def test_answers_come_in_order(self, server: RunningServer) -> None:
        bodies = [BODY.replace(b'"inputs"', b'"id":"%d","inputs"' % number) for number in range(20)]
        with connected(server) as connection:
            connection.sendall(b"".join(whole(body) for body in bodies))
            answers = Answers(connection)
            found = [orjson.loads(answers.next()[2])["id"] for _ in bodies]
        assert found == [str(number) for number in range(20)]

    def test_an_error_does_not_end_the_others(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(whole() + whole(b"{") + head("x-archlab-min-feed: x", "content-length: 0") + whole())
            answers = Answers(connection)
            assert [answers.next()[0] for _ in range(4)] == [200, 400, 400, 200]


class TestSlowClients:
    """A body has a second to arrive here."""

    @pytest.mark.parametrize("begun", [b"", BODY[:10]])
    @pytest.mark.parametrize("how", [f"content-length: {len(BODY)}", "transfer-encoding: chunked"])
    def test_a_body_that_stops_is_408_and_the_end(self, server: RunningServer, how: str, begun: bytes) -> None:
        sent = begun if "length" in how or not begun else b"%x\r\n%b\r\n" % (len(begun), begun)
        refused = 'archlab_inference_requests_total{code="408",model="-",team="-",version="-"}'
        before = server.metric(refused)
        with connected(server) as connection:
            connection.sendall(head(how) + sent)
            answers = Answers(connection)
            status, headers, body = answers.next()
            assert (status, headers["connection"]) == (408, "close")
            assert message(body).startswith("the body was not whole 1 s after its head")
            assert answers.ended()
        assert server.metric(refused) == before + 1

    def test_a_body_that_trickles_is_408_too(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head(f"content-length: {LIMIT}"))
            connection.settimeout(0.02)
            answer = b""
            while not answer:
                try:
                    connection.sendall(b" ")
                    answer = connection.recv(65536)
                except TimeoutError:
                    continue
        assert answer.startswith(b"HTTP/1.1 408")

    def test_others_are_answered_meanwhile(self, server: RunningServer) -> None:
        with connected(server) as slow:
            slow.sendall(head(f"content-length: {len(BODY)}") + BODY[:10])
            wait_for(under_way(server), "the request to begin")
            assert server.client.post(INFER, content=BODY).status_code == 200
            slow.sendall(BODY[10:])
            assert Answers(slow).next()[0] == 200

    def test_a_client_that_does_not_read_its_answers(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(whole() * 200)
            assert server.client.post(INFER, content=BODY).status_code == 200


class TestVanishingClients:
    """Connections that end before their requests do."""

    @pytest.mark.parametrize("sent", [b"", b"POST /v2", head("content-length: 500"), whole()[:-1]])
    def test_a_half_closed_connection_is_given_up(self, server: RunningServer, sent: bytes) -> None:
        with connected(server) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert Answers(connection).ended()

    def test_a_connection_that_is_reset(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head(f"content-length: {len(BODY)}") + BODY[:10])
            wait_for(under_way(server), "the request to begin")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        wait_for(under_way(server, 0), "the request to be given up")

    def test_many_at_once(self, server: RunningServer) -> None:
        host, _, port = server.address.partition(":")
        connections = [socket.create_connection((host, int(port)), timeout=30) for _ in range(50)]
        for connection in connections:
            connection.sendall(head(f"content-length: {len(BODY)}") + BODY[:10])
        wait_for(under_way(server, 50), "the requests to begin")
        for connection in connections:
            connection.close()
        wait_for(under_way(server, 0), "the requests to be given up")


class TestOversizedBodies:
    """More than `max_body_bytes`, which is 1 MiB here."""

    def test_with_a_content_length_it_is_not_read(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head(f"content-length: {LIMIT + 1}"))
            answers = Answers(connection)
            status, headers, body = answers.next()
            assert (status, headers["connection"], "are taken" in message(body)) == (413, "close", True)
            assert answers.ended()

    def test_without_one_it_is_read_up_to_the_limit(self, server: RunningServer) -> None:
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        with connected(server) as connection:
            connection.sendall(head("transfer-encoding: chunked") + chunk * (LIMIT // 0x10000))
            connection.sendall(b"1\r\n \r\n")
            answers = Answers(connection)
            status, headers, body = answers.next()
            assert (status, headers["connection"]) == (413, "close")
            assert message(body) == f"the body has more than {LIMIT} bytes"
            assert answers.ended()

    def test_the_largest_that_is_taken(self, server: RunningServer) -> None:
        body = BODY + b" " * (LIMIT - len(BODY))
        with connected(server) as connection:
            connection.sendall(whole(body))
            assert Answers(connection).next()[0] == 200

    def test_a_length_that_no_number_holds(self, server: RunningServer) -> None:
        with connected(server) as connection:
            connection.sendall(head(f"content-length: {'9' * 30}"))
            assert Answers(connection).next()[0] in (400, 413)

    def test_memory_does_not_grow_with_what_is_refused(self, server: RunningServer) -> None:
        before = server.rss_bytes()
        for _ in range(20):
            with connected(server) as connection:
                connection.sendall(head(f"content-length: {1 << 40}"))
                assert Answers(connection).next()[0] == 413
        assert server.rss_bytes() - before < 10 * LIMIT


def test_nothing_here_was_a_fault_of_the_server(server: RunningServer) -> None:
    text = server.client.get("/metrics").text
    assert not re.search(r'archlab_inference_requests_total\{code="5', text)
    assert "Traceback" not in server.log.read_text()
