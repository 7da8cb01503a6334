"""What a region could answer and what it would lack if it took over now, by the files that are in it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from archlab.recovery.copying import arrivals
from archlab.recovery.copying.catalogue import RELEASES, SNAPSHOTS
from archlab.spec.base import Spec
from archlab.spec.regions import Copying, Part, RegionFiles
from archlab.spec.release import Release, ReleaseKind

NEEDED = (Part.ARTIFACTS, Part.FEATURES)
"""Parts without which models don't answer."""


class Unserved(Spec):
    """A released version that a region can't answer with."""

    model: str
    version: str
    why: str


def unserved(files: Path, orders: tuple[Path, Path]) -> tuple[Unserved, ...]:
    """Released versions whose weights or features are not in a region.

    Args:
        files: the region's.
        orders: folders with the feed and the manifest as control wrote them last.
    """
    feed, order = arrivals.feed(orders[0]), arrivals.manifest(orders[1])
    mine = arrivals.manifest(files / SNAPSHOTS)
    published = {view.view for view in order.views} | set(order.absent) if order else set()
    absent = published - ({view.view for view in mine.views} if mine else set())
    found = (
        Unserved(model=release.model, version=release.version, why=why)
        for release in (feed.releases if feed else ())
        if (why := _lacking(files, release, absent))
    )
    return tuple(found)


def older_views(files: Path, orders: tuple[Path, Path]) -> tuple[str, ...]:
    """Views of which a region has an older state than control published, each with how much older."""
    order, mine = arrivals.manifest(orders[1]), arrivals.manifest(files / SNAPSHOTS)
    newest = {view.view: view.materialized for view in order.views} if order else {}
    behind = ((v.view, newest[v.view] - v.materialized) for v in (mine.views if mine else ()) if v.view in newest)
    return tuple(f"{view} by {apart}" for view, apart in behind if apart)


def losses(copies: tuple[Copying, ...], files: RegionFiles, archived: RegionFiles) -> Iterator[str]:
    """What models need and a region lacks, or may lack, as parts of a sentence.

    Args:
        copies: how each part gets there.
        files: what the region's store last said.
        archived: what the other region's store last said.
    """
    now = datetime.now(UTC)
    for copying in copies:
        if copying.part not in NEEDED:
            continue
        if copying.archived:
            taken = archived.of(copying.part, archived=True).complete_at
            known = (
                f"nothing but an archive of {(now - taken).total_seconds():.0f} s ago" if taken else "no archive yet"
            )
            yield f"of the {copying.part.value} there is {known}"
        elif lacking := files.of(copying.part).missing:
            yield f"{lacking} files of the {copying.part.value} have not arrived"
        elif files.of(copying.part).complete_at is None:
            yield f"the {copying.part.value} were never copied"


def ages(copies: tuple[Copying, ...], files: RegionFiles) -> Iterator[str]:
    """How old copies are that are made at intervals, as parts of a sentence."""
    now = datetime.now(UTC)
    for copying in copies:
        copied = files.of(copying.part).complete_at
        if copying.part in NEEDED and not copying.at_once and not copying.archived and copied:
            yield f"the {copying.part.value} were copied {(now - copied).total_seconds():.0f} s ago"


def _lacking(files: Path, release: Release, absent: set[str]) -> str:
    if not (files / RELEASES / release.path).is_file():
        return f"its weights ({release.sha256[:12]}…) have not arrived"
    views = {column.source for column in release.columns} & absent if release.kind is ReleaseKind.ONNX else set()
    return f"its features have not arrived: {', '.join(sorted(views))}" if views else ""
