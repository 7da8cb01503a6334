"""What is said when the front door of a lab on a cluster does not answer as it should."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from archlab import identity
from archlab.errors import RefusedError, TargetError, UnavailableError
from archlab.settings import LabFolder
from archlab.targets.kube import front
from ports_for_tests import free_port


class Door(BaseHTTPRequestHandler):
    """Answers with the status in the path's last part."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(int(self.path.rpartition("/")[2]))
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "said": json.loads(said)}).encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def gateway() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    found = LabFolder(tmp_path / "lab")
    identity.create_keys(found)
    return found


def test_control_is_asked_below_its_path(folder: LabFolder, gateway: str) -> None:
    assert front.ask_control(folder, gateway, "POST", "/200", {"a": 1}) == {"path": "/control/200", "said": {"a": 1}}


@pytest.mark.parametrize(("status", "kind"), [(403, RefusedError), (401, UnavailableError), (500, UnavailableError)])
def test_another_answer_is_an_error_with_what_was_said(
    folder: LabFolder, gateway: str, status: int, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=rf"Control answers {status} to /{status}: .*said"):
        front.ask_control(folder, gateway, "POST", f"/{status}", {})


def test_nobody_there_is_one_message(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match=f"Control does not answer at {nowhere}/control/clock"):
        front.ask_control(folder, nowhere, "GET", "/clock")
    monkeypatch.setattr(front, "ANSWER_S", 0.1)
    with pytest.raises(TargetError, match=f"nothing answers at {nowhere}"):
        front.confirm(nowhere, lambda _step, _detail: None)
