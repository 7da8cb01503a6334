"""The data access point: rows of feature views as they are online, as far as somebody may have them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from archlab.control.seen import Seen
from archlab.errors import NotFoundError, RefusedError, UnavailableError
from archlab.settings import LabFolder
from archlab.spec.base import Spec, UtcTime
from archlab.spec.release import FeatureSnapshot, ViewSnapshot

MOST_ROWS = 100
_REMEDY = "See who may: archlab access explain TEAM VIEW"


class ViewShown(Spec):
    """A view as somebody is shown it."""

    view: str
    materialized: UtcTime
    rows: int
    join_keys: tuple[str, ...]
    columns: tuple[str, ...]
    """Those that the asker may have."""
    hidden: tuple[str, ...] = ()
    """Those that the asker may not have."""


def listed(folder: LabFolder, manifest: FeatureSnapshot | None, seen: Seen) -> list[ViewShown]:
    """The views that somebody may read, with their columns."""
    views = manifest.views if manifest else ()
    return [_shown(v, _content(folder, v), seen) for v in views if seen.access.view(seen.subject, v.view).allow]


def rows(
    folder: LabFolder, manifest: FeatureSnapshot | None, seen: Seen, view: str, keys: Sequence[str], columns: str
) -> dict[str, Any]:
    """Rows of a view by key, the first ones without keys.

    Raises:
        NotFoundError: there is no such view online.
        RefusedError: the asker may not read it, or not one of the columns that are asked for.
    """
    verdict = seen.access.view(seen.subject, view)
    if not verdict.allow:
        raise RefusedError(f"{verdict.why}.", _REMEDY)
    found = next((v for v in manifest.views if v.view == view), None) if manifest else None
    if found is None:
        raise NotFoundError(f"There is no view {view!r} online.", "See: GET /control/features")
    content = _content(folder, found)
    shown = _shown(found, content, seen)
    wanted = tuple(name for name in columns.split(",") if name) or shown.columns
    if closed := sorted(set(wanted) & set(shown.hidden)):
        raise RefusedError(f"{seen.subject.team}'s grant of {view} leaves out {', '.join(closed)}.", _REMEDY)
    if unknown := sorted(set(wanted) - set(shown.columns)):
        raise NotFoundError(f"{view} has no column {unknown[0]!r}.", f"Columns: {', '.join(shown.columns)}.")
    place = [content["features"].index(name) for name in wanted]
    asked = list(keys) or list(content["rows"])
    there = {key: content["rows"][key] for key in asked[:MOST_ROWS] if key in content["rows"]}
    return {
        **shown.model_dump(mode="json"),
        "columns": wanted,
        "values": {key: [row[index] for index in place] for key, row in there.items()},
    }


def _shown(found: ViewSnapshot, content: dict[str, Any], seen: Seen) -> ViewShown:
    hidden = seen.access.hidden(seen.subject, found.view)
    return ViewShown(
        view=found.view,
        materialized=found.materialized,
        rows=found.rows,
        join_keys=tuple(content["join_keys"]),
        columns=tuple(name for name in content["features"] if name not in hidden),
        hidden=tuple(name for name in content["features"] if name in hidden),
    )


def _content(folder: LabFolder, view: ViewSnapshot) -> dict[str, Any]:
    """A view's file, as the manifest's digest says it is.

    Raises:
        UnavailableError: it is gone or another.
    """
    try:
        written = (folder.snapshots / view.path).read_bytes()
    except OSError:
        written = b""
    if hashlib.sha256(written).hexdigest() == view.sha256:
        content: dict[str, Any] = orjson.loads(written)
        return content
    raise UnavailableError(f"The snapshot of {view.view} can't be read.", "Make it anew: archlab clock advance 1d")
