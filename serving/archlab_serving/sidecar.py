"""Keeps a pod's files what control publishes: fetches by digest, verifies, renames into place; hands predictions on.

`python -m archlab_serving.sidecar` runs beside a server or the registry on a cluster, where no disk is shared. It holds
one request to control open until something changes (`GET /sync/<kind>`), so that a new release or snapshot is there
within a moment, and appends what the server logged to control's copy of the log (`POST /predictions/<replica>`). Only
the standard library is used: it stands beside every replica. While control is away everything stays as it is.

| variable | meaning |
|---|---|
| `ARCHLAB_SYNC_CONTROL` | control's base URL |
| `ARCHLAB_SYNC_TOKEN` | file with a bearer token, read anew for each request |
| `ARCHLAB_SYNC_KIND` | what to fetch: `server`, `registry` or `gateway` |
| `ARCHLAB_SYNC_UNIT` | the server's unit; absent elsewhere |
| `ARCHLAB_SYNC_REPLICA` | the pod's name |
| `ARCHLAB_SYNC_FOLDER` | folder that the files go to |
| `ARCHLAB_SYNC_LOG` | prediction log to hand on; absent: none |
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import signal
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any

PREFIX = "ARCHLAB_SYNC_"
WAIT_S = 20
"""How long control holds a request while nothing changes."""
ANSWER_S = 40.0
RETRY_S = 0.5
SHIP_EVERY_S = 0.3
LAST_S = 25.0
"""How long a pod that ends tries to hand on its last lines; what the pod's grace period leaves, as a rule."""
PIECE_BYTES = 4 << 20
ROTATE_BYTES = 16 << 20
"""A prediction log of this length is begun anew; the old one goes when control has it."""

logger = logging.getLogger("archlab_serving")


class SyncError(Exception):
    """Something that control sent can't be used; what is there stays."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sidecar is told by its environment."""

    control: str
    token: Path
    kind: str
    unit: str
    replica: str
    folder: Path
    log: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises KeyError with the variable that is missing."""
        log = environment.get(f"{PREFIX}LOG")
        return cls(
            control=environment[f"{PREFIX}CONTROL"].rstrip("/"),
            token=Path(environment[f"{PREFIX}TOKEN"]),
            kind=environment[f"{PREFIX}KIND"],
            unit=environment.get(f"{PREFIX}UNIT", ""),
            replica=environment[f"{PREFIX}REPLICA"],
            folder=Path(environment[f"{PREFIX}FOLDER"]),
            log=Path(log) if log else None,
        )


@dataclass(slots=True)
class Control:
    """Calls to control, as a replica."""

    settings: Settings

    def json(self, path: str, **query: str | int) -> Any:
        """GET; the parsed answer, None for 204.

        Raises:
            OSError: no answer.
        """
        status, body = self.send("GET", path, None, query)
        return json.loads(body) if status != 204 else None

    def send(self, method: str, path: str, body: bytes | None, query: Mapping[str, str | int]) -> tuple[int, bytes]:
        """Status and body; urllib's HTTPError is an OSError."""
        url = f"{self.settings.control}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self.settings.token.read_text().strip()}"}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
            return answer.status, answer.read()


@dataclass(slots=True)
class Mirror:
    """The pod's copy of what control publishes for it."""

    settings: Settings
    control: Control
    digest: str = ""
    """Of the manifest whose files are all in place."""
    applied: str = ""
    """Of the manifest that is in force, where fetching is not enough; control hears of it."""
    error: str = ""
    """Why the newest manifest is not in force."""
    _before: set[str] = field(default_factory=set)

    def follow(self, wait_s: int) -> bool:
        """One request; whether something was changed.

        Raises:
            OSError, ValueError, SyncError: control does not answer, or with something else than it should.
        """
        settings = self.settings
        who = {"unit": settings.unit, "replica": settings.replica}
        state = {"have": self.digest, "applied": self.applied, "error": self.error[:500]}
        manifest = self.control.json(f"/sync/{settings.kind}", **who, **state, wait_s=wait_s)
        if manifest is None:
            return False
        self._take(manifest["files"])
        self.digest = str(manifest["digest"])
        logger.info("sync: %d files, manifest %s", len(manifest["files"]), self.digest[:12])
        return True

    def _take(self, files: list[dict[str, Any]]) -> None:
        """Files by digest first; then, whole, those that name them."""
        for entry in sorted(files, key=lambda entry: "text" in entry):
            path = self._place(str(entry["path"]))
            # what came by digest was verified when it came
            known = path.exists() if "text" not in entry else _sha256(path) == entry["sha256"]
            if not known:
                _replace(path, self._content(entry))
        named = {str(entry["path"]) for entry in files}
        for gone in self._before - named:
            self._place(gone).unlink(missing_ok=True)
        self._before = named

    def _content(self, entry: Mapping[str, Any]) -> bytes:
        wanted = str(entry["sha256"])
        if "text" in entry:
            content = str(entry["text"]).encode()
        else:
            content = self.control.send("GET", f"/sync/blobs/{wanted}", None, {})[1]
        if hashlib.sha256(content).hexdigest() != wanted:
            raise SyncError(f"{entry['path']} is not what its digest says")
        return content

    def _place(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            raise SyncError(f"{name!r} is no path below the folder")
        return self.settings.folder.joinpath(*parts)


@dataclass(slots=True)
class Shipper:
    """Appends the server's prediction log to control's copy; that copy's length says how far it is.

    A long log is set aside (`<log>.old`), and `<log>.base` says how much of all that was logged has gone. The server
    opens its log for each write, so it goes on with a new one.
    """

    settings: Settings
    control: Control
    log: Path
    rotate_bytes: int = ROTATE_BYTES
    _offset: int = 0
    """From the first byte ever logged."""

    def ship(self) -> bool:
        """One piece; whether there may be more.

        Raises:
            OSError, ValueError: control does not take it now.
        """
        file, base = self._old if self._old.exists() else self.log, self._base()
        self._offset = max(self._offset, base)
        data = _lines(file, self._offset - base)
        if not data:
            return self._move_on(file, base)
        path = f"/predictions/{self.settings.replica}"
        try:
            _, answer = self.control.send("POST", path, data, {"offset": self._offset, "oldest": base})
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.CONFLICT:  # control's copy is shorter than it was: from the start
                self._offset = 0
            raise
        self._offset = int(json.loads(answer)["length"])
        return True

    @property
    def _old(self) -> Path:
        return self.log.with_name(f"{self.log.name}.old")

    @property
    def _base_file(self) -> Path:
        return self.log.with_name(f"{self.log.name}.base")

    def _base(self) -> int:
        try:
            return int(self._base_file.read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def _move_on(self, file: Path, base: int) -> bool:
        """Control has all of this file: set a long log aside, drop one that is aside; whether there may be more."""
        if file == self.log:
            if file.exists() and file.stat().st_size >= self.rotate_bytes:
                file.rename(self._old)
                return True
            return False
        if not self.log.exists():
            return False
        # the server has begun a new log: its last write to the old one is over
        if _lines(file, self._offset - base):
            return True
        _replace(self._base_file, str(base + file.stat().st_size).encode())
        file.unlink()
        return True


def run(settings: Settings, stop: threading.Event) -> None:
    """Follow until told to stop; then hand on what the server logged last."""
    control = Control(settings)
    work: list[Callable[[], None]] = [lambda: _mirror(Mirror(settings, control), stop)]
    if settings.log is not None:
        shipper = Shipper(settings, control, settings.log)
        work.append(lambda: _ship(shipper, stop))
    # the request that waits for changes is given up when the process ends; the log is handed on first
    threads = [threading.Thread(target=target, daemon=index == 0) for index, target in enumerate(work)]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads[1:]:
        thread.join(LAST_S + ANSWER_S)


def _mirror(mirror: Mirror, stop: threading.Event) -> None:
    complaint = ""
    while not stop.is_set():
        try:
            mirror.follow(WAIT_S if mirror.digest else 0)
            complaint = ""
        except (OSError, ValueError, KeyError, TypeError, SyncError) as error:
            if str(error) != complaint:
                logger.warning("sync: nothing taken from control: %s", error)
            complaint = str(error)
            stop.wait(RETRY_S)


def _ship(shipper: Shipper, stop: threading.Event) -> None:
    """Hand on what is logged; after the server's end until control has all of it, or time is up."""
    until = None
    while True:
        if until is None and stop.is_set():
            until = time.monotonic() + LAST_S
        try:
            more, failure = shipper.ship(), ""
        except (OSError, ValueError, KeyError) as error:
            more, failure = False, str(error)
        if until is not None and not more:
            if not failure:
                return
            if time.monotonic() > until:
                logger.warning("sync: what was predicted last is lost, control does not take it: %s", failure)
                return
            time.sleep(SHIP_EVERY_S)
        elif not more:
            stop.wait(SHIP_EVERY_S)


def _lines(path: Path, start: int) -> bytes:
    """The next whole lines of a file; nothing when it is not there."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(PIECE_BYTES)
    except FileNotFoundError:
        return b""
    return data[: data.rfind(b"\n") + 1]


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(Settings.from_environment(), stop)


if __name__ == "__main__":
    main()
