"""Feast's online store, exported view by view into the files that servers read (`archlab/view-snapshot/v1`)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import orjson

from archlab_features.online import OnlineStore, Row
from archlab_features.views import View

FORMAT = "archlab/view-snapshot/v1"


@dataclass(slots=True)
class OnlineView:
    """What the online store holds of one view; kept: a tick reads only what changed."""

    view: View
    online: OnlineStore
    rows: dict[str, Row] = field(default_factory=dict)

    def read_all(self) -> None:
        """Read every row."""
        self.rows = self.online.read(self.view)

    def read(self, keys: Sequence[str]) -> None:
        """Read some keys' rows again."""
        self.rows |= self.online.read(self.view, keys)

    def fresh(self, moment: datetime) -> dict[str, Row]:
        """Rows by key that are within the view's TTL at a moment; Feast itself does not check that on online reads."""
        oldest = None if self.view.ttl is None else moment - self.view.ttl
        return {key: row for key, row in sorted(self.rows.items()) if oldest is None or row.event_timestamp >= oldest}

    def snapshot(self, moment: datetime) -> bytes:
        """The view's file as of a moment, fresh rows only."""
        rows = self.fresh(moment)
        return orjson.dumps(
            {
                "format": FORMAT,
                "view": self.view.name,
                "join_keys": [self.view.join_key],
                "features": list(self.view.features),
                "rows": {key: row.values for key, row in rows.items()},
                "event_timestamps": {key: row.event_timestamp.isoformat() for key, row in rows.items()},
            }
        )


def write_blob(snapshots: Path, content: bytes) -> tuple[str, str]:
    """Keep a file under its digest; returns (sha256, path relative to `snapshots`)."""
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"blobs/{sha256}.json"
    target = snapshots / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.write_bytes(content)
        part.replace(target)
    return sha256, name
