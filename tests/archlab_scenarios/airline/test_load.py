"""The load generator as a process: it offers a constant rate whatever the server does, and leaves no slowness out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from archlab.settings import scenarios_root

LOAD = scenarios_root() / "airline" / "load.py"


@dataclass
class Upstream:
    """An HTTP endpoint; `gate` holds answers back while it is clear."""

    url: str
    gate: threading.Event
    seen: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    status: int = 200
    content: Callable[[], bytes] = lambda: b"{}"


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real server on loopback."""
    state = Upstream("", threading.Event())
    state.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.seen.append((self.path, self.headers["Authorization"], body))
            if len(state.seen) == HELD_AFTER:
                state.gate.clear()
                threading.Timer(HELD_S, state.gate.set).start()
            state.gate.wait(10)
            self.send_response(state.status)
            content = state.content()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


HELD_AFTER = 40
HELD_S = 1.0
RATE = 20.0
USERS = 4
SECONDS = 4


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Two models, one asked nine times as often, by a team of its own."""
    models = [
        {
            "name": name,
            "team": f"{name}-team",
            "weight": weight,
            "bodies": [json.dumps({"id": f"{name}-{n}", "inputs": []}) for n in range(3)],
        }
        for name, weight in (("often", 90), ("seldom", 10))
    ]
    path = tmp_path / "requests.json"
    path.write_text(json.dumps({"models": models}))
    return path


def _load(upstream: Upstream, requests: Path, tmp_path: Path) -> dict[str, Any]:
    token = tmp_path / "caller.header"
    token.write_text("Authorization: Bearer secret\n")
    result = tmp_path / "result.json"
    environment = {
        **os.environ,
        "ARCHLAB_GATEWAY": upstream.url,
        "ARCHLAB_TOKEN_FILE": str(token),
        "ARCHLAB_LOAD_REQUESTS": str(requests),
        "ARCHLAB_LOAD_RATE": str(RATE / USERS),
        "ARCHLAB_LOAD_RESULT": str(result),
    }
    command = [sys.executable, "-m", "locust", "-f", str(LOAD), "--headless", "--only-summary"]
    command += ["-u", str(USERS), "-r", str(USERS), "--run-time", f"{SECONDS}s"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert result.exists(), done.stderr
    found: dict[str, Any] = json.loads(result.read_text())
    return found


@pytest.mark.slow
def test_a_pause_of_the_server_neither_lowers_the_rate_nor_vanishes(
    upstream: Upstream, requests: Path, tmp_path: Path
) -> None:
    result = _load(upstream, requests, tmp_path)
    models = result["models"]
    sent = sum(m["requests"] for m in models.values())
    assert sent == pytest.approx(RATE * result["seconds"], rel=0.15)
    assert sent == len(upstream.seen)
    assert sum(m["failures"] for m in models.values()) == 0
    # Everything due in the pause waited for its end: about a quarter of the run, not the one request that met it.
    assert models["often"]["p95_ms"] > 500 * HELD_S
    assert models["often"]["p50_ms"] < models["often"]["p95_ms"] / 2
    assert models["often"]["requests"] > 4 * models["seldom"]["requests"]
    path, authorization, body = upstream.seen[0]
    assert path in ("/v2/models/often/infer", "/v2/models/seldom/infer")
    assert authorization == "Bearer secret"
    assert body["id"].split("-")[0] in path


@pytest.mark.slow
def test_failures_are_counted_with_their_reason(upstream: Upstream, requests: Path, tmp_path: Path) -> None:
    upstream.status = 503
    models = _load(upstream, requests, tmp_path)["models"]
    assert all(m["failures"] == m["requests"] for m in models.values())
    assert "HTTP 503" in next(iter(models["often"]["reasons"]))
    assert {m["limited"] for m in models.values()} == {0}


@pytest.mark.slow
def test_what_a_limit_refused_is_counted_to_the_last_whatever_it_says(
    upstream: Upstream, requests: Path, tmp_path: Path
) -> None:
    """Each refusal reads differently here, and only the commonest reasons are kept."""
    upstream.status, upstream.content = 429, lambda: f"retry after {uuid.uuid4()}".encode()
    found = _load(upstream, requests, tmp_path)
    often = found["models"]["often"]
    assert sum(often["reasons"].values()) < often["failures"] == often["limited"] == often["requests"]
    assert found["teams"]["often-team"]["limited"] == often["limited"]
