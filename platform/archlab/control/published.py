"""What pods fetch where no disk is shared: per kind of pod a manifest of files with their digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.plan import Plan
from archlab.spec.release import FeatureSnapshot, ReleaseFeed
from archlab.targets.kube.pod_devices import pod_document

REGISTRY_FILES = ("lab.json", "scenario.json", "known_columns.json", "policy/bundle.json", "policy/bundle.sig")
GATEWAY_FILES = ("gateway/plan.json",)
DEVICES_FILE = "devices.json"
"""What a server is told of devices; only pods of units that have any get it."""


class File(Spec):
    """One file of a manifest; `text` is left out of what is fetched by digest."""

    path: str
    sha256: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a kind of pod should have."""

    files: tuple[File, ...]

    @property
    def digest(self) -> str:
        """Over paths and digests."""
        named = [(file.path, file.sha256) for file in self.files]
        return hashlib.sha256(json.dumps(sorted(named)).encode()).hexdigest()


@dataclass(slots=True)
class Follower:
    """A pod that asks."""

    unit: str
    have: str
    applied: str
    error: str
    asked: float


@dataclass(slots=True)
class Published:
    """Manifests of one lab, made anew when their files change; and who has which."""

    folder: LabFolder
    followers: dict[tuple[str, str], Follower] = field(default_factory=dict)
    _known: dict[tuple[str, str], tuple[object, Manifest]] = field(default_factory=dict)

    def manifest(self, kind: str, unit: str, pool: str) -> Manifest:
        """What pods of a kind should have now."""
        root = self.folder.root
        names: tuple[str, ...] = _WATCHED[kind]
        stamp = (pool, *(_stamp(root / name) for name in names))
        known = self._known.get((kind, unit))
        if known is None or known[0] != stamp:
            known = (stamp, Manifest(KINDS[kind](root, unit, pool)))
            self._known[kind, unit] = known
        return known[1]


def _server(root: Path, unit: str, pool: str) -> tuple[File, ...]:
    found: list[File] = []
    feed, manifest = _text(root, "releases/feed.json"), _text(root, "snapshots/current.json")
    if manifest is not None:
        views = FeatureSnapshot.model_validate_json(manifest.text or "").views
        found += [File(path=f"snapshots/{view.path}", sha256=view.sha256) for view in views]
        found.append(manifest)
    found += _devices(root, unit)  # before the feed: what it names is loaded where it belongs at once
    if feed is not None:
        releases = ReleaseFeed.model_validate_json(feed.text or "").releases
        found += [File(path=f"releases/{r.path}", sha256=r.sha256) for r in releases if r.pool == pool]
        found.append(feed)
    return tuple({file.path: file for file in found}.values())


def _devices(root: Path, unit: str) -> tuple[File, ...]:
    plan = _text(root, "plan.json")
    document = pod_document(Plan.model_validate_json(plan.text or ""), unit) if plan else None
    return () if document is None else (_file(DEVICES_FILE, json.dumps(document, indent=1) + "\n"),)


def _plain(names: tuple[str, ...]) -> Callable[[Path, str, str], tuple[File, ...]]:
    def made(root: Path, _unit: str, _pool: str) -> tuple[File, ...]:
        return tuple(file for name in names if (file := _text(root, name)) is not None)

    return made


KINDS = {"server": _server, "registry": _plain(REGISTRY_FILES), "gateway": _plain(GATEWAY_FILES)}
_WATCHED = {
    "server": ("releases/feed.json", "snapshots/current.json", "plan.json"),
    "registry": REGISTRY_FILES,
    "gateway": GATEWAY_FILES,
}


def _text(root: Path, name: str) -> File | None:
    try:
        text = (root / name).read_text()
    except FileNotFoundError:
        return None
    return _file(name, text)


def _file(name: str, text: str) -> File:
    return File(path=name, sha256=hashlib.sha256(text.encode()).hexdigest(), text=text)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
