"""Two regions' stores of files as real processes, with a real line between them."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from archlab.files import write_atomic, write_model
from archlab.recovery import link
from archlab.recovery.copying import description
from archlab.recovery.copying.catalogue import RELEASES, SNAPSHOTS, Listing
from archlab.recovery.copying.description import DESCRIPTION, PLACE, SEEN, Description
from archlab.recovery.shaping import Shape
from archlab.spec.regions import FILES, Copying, Part, PartCopy, Standby
from archlab.spec.release import FeatureSnapshot, ViewSnapshot
from gated_registry import wait_for
from ports_for_tests import free_port

EAST, WEST = "east", "west"
START = datetime(2013, 12, 2, 8, tzinfo=UTC)


@dataclass
class Stores:
    """Both, under one folder."""

    root: Path
    primary: str = EAST
    raised: str = ""
    postures: dict[Part, Standby] = field(default_factory=lambda: dict.fromkeys(FILES, Standby.WARM_STANDBY))
    every_s: int = 3600
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)

    def files(self, region: str) -> Path:
        return self.root / region / PLACE

    def describe(self) -> None:
        """Tell both what to do."""
        copies = [Copying(part=p, posture=held, every_s=self.every_s, keep=2) for p, held in self.postures.items()]
        for region, other in ((EAST, WEST), (WEST, EAST)):
            for name in ("store", "line"):
                self.ports.setdefault(f"{name}-{region}", free_port())
            told = Description(
                region=region,
                other=other,
                primary=region == self.primary,
                raised=region == self.raised,
                port=self.ports[f"store-{region}"],
                line=self.ports[f"line-{region}"],
                password=self.root / "password",
                socket=self.root / f"{region}.sock",
                orders=(self.files(self.primary) / RELEASES, self.files(self.primary) / SNAPSHOTS),
                database=self.root / "control.db",
                bundle=self.root / "policy",
                archive=self.root / "archive",
                key=self.root / "key",
                copies=tuple(copies),
            )
            write_model(self.root / region / DESCRIPTION, told)

    def start(self, region: str) -> None:
        command = [sys.executable, "-m", "archlab.recovery.copying.program", str(self.root / region)]
        self.started[region] = datetime.now(UTC)
        self.processes[region] = subprocess.Popen(command)

    def kill(self, region: str) -> None:
        self.processes[region].kill()
        self.processes[region].wait()

    def shape(self, shape: Shape) -> link.LinkState:
        return link.tell(self.root / "link.sock", link.Order(shape=shape))

    def write(self, region: str, name: str, content: bytes) -> Path:
        write_atomic(self.files(region) / name, content)
        return self.files(region) / name

    def state(self, part: Part, region: str = WEST, *, archived: bool = False) -> PartCopy:
        return description.state(self.root / region).of(part, archived=archived)

    def seen(self, part: Part, region: str) -> set[str]:
        """Paths that the other region had when this one looked last."""
        path = self.root / region / SEEN / f"{part.value}.json"
        return set(Listing.model_validate_json(path.read_bytes()).by_path) if path.exists() else set()

    def came(self, part: Part, region: str) -> bool:
        """Whether a region that follows has just taken all that the other one has."""
        copy = self.state(part, region)
        return copy.complete_at is not None and copy.complete_at > self.started[region] and not copy.error

    def blob(self, content: bytes) -> str:
        """A released file's name."""
        return f"{RELEASES}/blobs/{hashlib.sha256(content).hexdigest()}"

    def arrived(self, name: str, content: bytes, region: str = WEST) -> Callable[[], bool]:
        place = self.files(region) / name
        return lambda: place.exists() and place.read_bytes() == content

    def publish(self, sequence: int, *views: tuple[str, bytes]) -> FeatureSnapshot:
        """A manifest in the primary's region, whose files lie there or not."""
        named = [
            ViewSnapshot(
                view=view,
                sha256=(sha256 := hashlib.sha256(content).hexdigest()),
                path=f"blobs/{sha256}.json",
                rows=1,
                materialized=START + timedelta(hours=sequence),
            )
            for view, content in views
        ]
        made = FeatureSnapshot(sequence=sequence, business_time=START, views=tuple(named))
        write_model(self.files(self.primary) / SNAPSHOTS / "current.json", made)
        return made

    def record(self, *names: str) -> None:
        """Usage in control's ledger."""
        with sqlite3.connect(self.root / "control.db") as db:
            db.executemany("INSERT INTO usage VALUES (?)", [(name,) for name in names])

    def logged(self, region: str) -> list[str]:
        log = self.files(region) / "ledger" / "usage.jsonl"
        return [json.loads(line)["id"] for line in log.read_text().splitlines()] if log.exists() else []


@contextmanager
def stores(root: Path) -> Iterator[Stores]:
    """Both run, east is primary; the line carries what west asks for."""
    made = Stores(root)
    (root / "password").write_text("secret\n")
    with sqlite3.connect(root / "control.db") as db:
        db.executescript(
            "CREATE TABLE usage (id TEXT PRIMARY KEY); CREATE TABLE corrections (sequence INTEGER PRIMARY KEY);"
            "CREATE TABLE decisions (sequence INTEGER PRIMARY KEY, record TEXT);"
        )
    made.describe()
    ends = [made.ports[f"{kind}-{region}"] for region, kind in ((WEST, "line"), (EAST, "store"))]
    back = [made.ports[f"{kind}-{region}"] for region, kind in ((EAST, "line"), (WEST, "store"))]
    command = [sys.executable, "-m", "archlab.recovery.link", *map(str, (*ends, *back)), str(root / "link.sock")]
    line = subprocess.Popen(command)
    try:
        wait_for((root / "link.sock").exists, "the line")
        for region in (EAST, WEST):
            made.start(region)
        for region in (EAST, WEST):
            wait_for((root / f"{region}.sock").exists, f"the store of {region}")
        yield made
    finally:
        for process in (line, *made.processes.values()):
            process.kill()
            process.wait()
