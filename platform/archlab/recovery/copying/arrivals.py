"""A region follows control's orders as far as their files have arrived: which views it has, and in which state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from archlab.files import write_model
from archlab.recovery.copying.catalogue import RELEASES, SNAPSHOTS
from archlab.spec.release import FeatureSnapshot, ReleaseFeed

FEED, MANIFEST = "feed.json", "current.json"


def as_arrived(order: FeatureSnapshot, before: FeatureSnapshot | None, folder: Path) -> FeatureSnapshot:
    """The manifest of a region: views whose files are there, older states of others, and the names of the rest.

    Args:
        order: what control published last, or the other region's manifest.
        before: this region's last manifest.
        folder: that the paths of files are relative to.
    """
    known = {view.view: view for view in before.views} if before else {}
    wanted = {view.view: view for view in order.views}
    names = sorted({*wanted, *order.absent})
    found = []
    for name in names:
        states = (wanted.get(name), known.get(name))
        there = next((state for state in states if state and (folder / state.path).is_file()), None)
        if there:
            found.append(there)
    absent = tuple(name for name in names if name not in {view.view for view in found})
    return order.model_copy(update={"views": tuple(found), "absent": absent})


def manifest(folder: Path) -> FeatureSnapshot | None:
    """What a region's servers go by; None before the first."""
    try:
        return FeatureSnapshot.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def feed(folder: Path) -> ReleaseFeed | None:
    """What a region's servers are told to load; None before the first."""
    try:
        return ReleaseFeed.model_validate_json((folder / FEED).read_bytes())
    except (OSError, ValidationError):
        return None


def obey(root: Path, orders: tuple[Path, Path]) -> None:
    """Bring a region's feed and manifest up to control's, as far as the files that they name are there.

    What the region has already may be newer: then control writes here by now.
    """
    ordered, known = feed(orders[0]), feed(root / RELEASES)
    if ordered is not None and (known is None or known.sequence <= ordered.sequence) and known != ordered:
        write_model(root / RELEASES / FEED, ordered)
    order, before = manifest(orders[1]), manifest(root / SNAPSHOTS)
    if order is not None and (before is None or before.sequence <= order.sequence):
        made = as_arrived(order, before, root / SNAPSHOTS)
        if made != before:
            write_model(root / SNAPSHOTS / MANIFEST, made)


def stamp(orders: tuple[Path, Path]) -> tuple[int, ...]:
    """What changes when control gives another order."""
    found: list[int] = []
    for path in (orders[0] / FEED, orders[1] / MANIFEST):
        with suppress(FileNotFoundError):
            status = path.stat()
            found += (status.st_mtime_ns, status.st_size, status.st_ino)
    return tuple(found)
