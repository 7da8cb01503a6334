"""The probe's ledger, and the probe against a real small service that misbehaves."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from archlab.drills.probe import read_ledger
from archlab.spec.drill import Attempt, Kind
from gated_registry import wait_for


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Refuses every third attempt to write, and knows no write afterwards."""

    protocol_version = "HTTP/1.1"
    tries: dict[str, int] = {}

    def do_PUT(self) -> None:
        tried = self.tries[self.path] = self.tries.get(self.path, 0) + 1
        self._answer(503 if tried == 1 and int(self.path.rpartition("/")[2]) % 3 == 0 else 201)

    def do_GET(self) -> None:
        self._answer(404)

    def do_POST(self) -> None:
        """A model that is right about 1 and wrong about everything else, and now and then no model at all.

        And a registry that lets every second change pass, if it knows who asks.
        """
        if self.path == "/alias":
            self.rfile.read(int(self.headers["content-length"]))
            tried = self.tries[self.path] = self.tries.get(self.path, 0) + 1
            known = self.headers["authorization"] == "Bearer token"
            self._answer(401 if not known else 200 if tried % 2 else 403)
            return
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["inputs"][0]["data"][0]
        body = b"busy" if asked == 3 else json.dumps({"outputs": [{"data": [1.0]}]}).encode()
        self._answer(200, body)

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def forgetful() -> Iterator[str]:
    Forgetful.tries.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_what_the_probe_was_told_is_in_its_ledger_however_it_ends(tmp_path: Path, forgetful: str, end: str) -> None:
    ledger = tmp_path / "probe.jsonl"
    probe = subprocess.Popen([sys.executable, "-m", "archlab.drills.probe", forgetful, str(ledger)])
    wait_for(lambda: ledger.exists() and ledger.read_text().count("\n") > 60, "some attempts")
    getattr(probe, end)()
    probe.wait(60)
    attempts = read_ledger(ledger)
    writes = [a for a in attempts if a.kind is Kind.WRITE]
    refused = {a.number for a in writes if a.outcome == "http-503"}
    assert refused
    assert all(number % 3 == 0 for number in refused)
    again = {a.number for a in writes if a.ok}
    assert len(refused - again) <= 4, "a write is sent again until it is acknowledged; four callers may be at it"
    reads = [a for a in attempts if a.kind is Kind.READ]
    assert reads
    assert {a.outcome for a in reads} == {"missing"}, "what was acknowledged and is not there is no ordinary 404"
    assert all(a.done >= a.sent for a in attempts)


def probed(place: Path, base: str, until: Kind, **asked: object) -> tuple[Attempt, ...]:
    """What the probe sees when it asks this too, until it has some attempts of a kind."""
    ledger, file = place / "probe.jsonl", place / "asked.json"
    file.write_text(json.dumps(asked))
    with subprocess.Popen([sys.executable, "-m", "archlab.drills.probe", base, str(ledger), str(file)]) as probe:
        wait_for(lambda: ledger.exists() and ledger.read_text().count(until.value) > 9, "some answers")
        probe.terminate()
    return read_ledger(ledger)


def test_what_a_model_answers_is_compared_with_what_the_caller_knows(tmp_path: Path, forgetful: str) -> None:
    asked = [{"path": "/v2/x", "body": {"inputs": [{"data": [n]}]}, "answer": float(n)} for n in (1, 2, 3)]
    found = [a for a in probed(tmp_path, forgetful, Kind.PREDICT, questions=asked) if a.kind is Kind.PREDICT]
    assert {a.number % 3: a.outcome for a in found} == {0: "ok", 1: "wrong", 2: "wrong"}


def test_a_change_that_is_refused_is_told_from_one_that_nobody_answers(tmp_path: Path, forgetful: str) -> None:
    change = {"path": "/alias", "body": {"alias": "champion"}, "token": "token"}
    found = [a for a in probed(tmp_path, forgetful, Kind.PROMOTE, change=change) if a.kind is Kind.PROMOTE]
    assert {a.number % 2: a.outcome for a in found} == {0: "ok", 1: "denied"}


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "probe.jsonl"
    whole = '{"kind":"write","number":1,"sent":1.0,"done":2.0,"outcome":"ok"}\n'
    path.write_text(whole + whole[:20])
    assert [a.number for a in read_ledger(path)] == [1]
