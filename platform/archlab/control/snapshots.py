"""The manifest of online feature snapshots."""

from __future__ import annotations

import hashlib
import sqlite3

from pydantic import Field

from archlab.control import lineage
from archlab.control.store import Store
from archlab.errors import UserError
from archlab.files import write_model
from archlab.recovery.copying import arrivals
from archlab.settings import LabFolder
from archlab.spec.base import Spec, UtcTime
from archlab.spec.lineage import OpenLineageEvent
from archlab.spec.release import FeatureSnapshot, ViewSnapshot

KEPT = 16
"""Manifests whose files stay: a server may still be reading them."""


class Materialized(Spec):
    """Body of `POST /snapshots`."""

    business_time: UtcTime
    views: tuple[ViewSnapshot, ...] = Field(min_length=1)
    lineage: tuple[OpenLineageEvent, ...] = ()
    """What the materialisation reports of itself."""


def publish(store: Store, folder: LabFolder, made: Materialized) -> FeatureSnapshot:
    """Give the views that were materialised the next sequence; the others stay as they are.

    Raises:
        UserError: a view's file is not in the snapshots' folder.
    """
    for view in made.views:
        file = (folder.snapshots / view.path).resolve()
        # a region may die with a file that was written there a moment ago: then the view stays as it was
        there = file.is_file() or folder.regions.is_dir()
        if not file.is_relative_to(folder.snapshots.resolve()) or not there:
            raise UserError(f"The snapshot of view {view.view} is not at {view.path} under the snapshots' folder.")
    with store.write() as db:
        before = _newest(db)
        views = {v.view: v for v in before.views} if before else {}
        views |= {v.view: v for v in made.views}
        after = FeatureSnapshot(
            sequence=before.sequence + 1 if before else 1,
            business_time=made.business_time,
            views=tuple(views[name] for name in sorted(views)),
        )
        manifest = after.model_dump_json()
        db.execute("INSERT INTO snapshots VALUES (?, ?)", (after.sequence, manifest))
        lineage.append(db, made.lineage)
        lineage.append(db, lineage.of_snapshot(after, hashlib.sha256(manifest.encode()).hexdigest()))
        gone = _forget(db, after.sequence - KEPT)
        # in a region that took over, files of views may be lost that are not made anew yet
        here = arrivals.as_arrived(after, arrivals.manifest(folder.snapshots), folder.snapshots)
        write_model(folder.snapshots / arrivals.MANIFEST, here)
    for path in gone - {view.path for view in here.views}:
        (folder.snapshots / path).unlink(missing_ok=True)
    return after


def newest(store: Store) -> FeatureSnapshot | None:
    """The manifest in force; None before the first."""
    with store.read() as db:
        return _newest(db)


def _newest(db: sqlite3.Connection) -> FeatureSnapshot | None:
    row = db.execute("SELECT manifest FROM snapshots ORDER BY sequence DESC LIMIT 1").fetchone()
    return FeatureSnapshot.model_validate_json(row["manifest"]) if row else None


def _forget(db: sqlite3.Connection, last: int) -> set[str]:
    """Drop old manifests; returns the files that only they named. Files not named yet are the materialiser's."""
    old = _paths(db, "SELECT manifest FROM snapshots WHERE sequence <= ?", last)
    kept = _paths(db, "SELECT manifest FROM snapshots WHERE sequence > ?", last)
    db.execute("DELETE FROM snapshots WHERE sequence <= ?", (last,))
    return old - kept


def _paths(db: sqlite3.Connection, query: str, last: int) -> set[str]:
    manifests = [FeatureSnapshot.model_validate_json(row["manifest"]) for row in db.execute(query, (last,))]
    return {view.path for manifest in manifests for view in manifest.views}
