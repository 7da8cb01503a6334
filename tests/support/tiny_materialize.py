"""Snapshots of the tiny world's two views, streamed as `archlab.pipelines.materialize` does."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from datetime import datetime, timedelta

from archlab.files import write_atomic
from archlab.settings import LabFolder
from archlab.world.schedule import SCHEDULES_SINCE

KEYS = {"weather": ("origin", ["JFK"], "wind"), "route_daily": ("route", [f"R{n}" for n in range(5)], "air_time")}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="start", type=datetime.fromisoformat)
    parser.add_argument("--to", dest="end", type=datetime.fromisoformat)
    parser.add_argument("--tick", type=int)
    parser.add_argument("--every", action="append")
    given = parser.parse_args()
    every = {view: timedelta(seconds=int(s)) for view, s in (word.split("=") for word in given.every)}
    moment, tick = given.start, timedelta(seconds=given.tick)
    while moment < given.end:
        since = {view: moment - (moment - SCHEDULES_SINCE) % interval for view, interval in every.items()}
        due = [view for view in every if moment == given.start or since[view] > moment - tick]
        line = {"tick": moment.isoformat(), "views": [snapshot(view, since[view]) for view in due], "cpu_ms": {}}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        moment += tick


def snapshot(view: str, moment: datetime) -> dict[str, object]:
    """One view at one moment: its feature is the hour."""
    key, names, feature = KEYS[view]
    document = {
        "format": "archlab/view-snapshot/v1",
        "view": view,
        "join_keys": [key],
        "features": [feature],
        "rows": {name: [float(moment.hour)] for name in names},
        "event_timestamps": {name: moment.isoformat() for name in names},
    }
    content = json.dumps(document).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"blobs/{sha256}.json"
    write_atomic(LabFolder.from_environment().snapshots / path, content)
    made = {"sha256": sha256, "path": path, "rows": len(names), "materialized": moment.isoformat()}
    return {"view": view, **made}


if __name__ == "__main__":
    main()
