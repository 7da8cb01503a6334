"""Where deleted versions and their files still are: registry, releases, and the artifact store where it is on disk."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

from archlab.errors import NotFoundError
from archlab.files import file_sha256
from archlab.lab.lab import Lab
from archlab.policy.deletions import Tombstone
from archlab.registry.evidence import SHA256


def remains(lab: Lab, stones: Iterable[Tombstone]) -> Mapping[str, Sequence[str]]:
    """By `MODEL:VERSION` and by digest, where it is still found; nothing for what is gone."""
    found: dict[str, list[str]] = defaultdict(list)
    gone = tuple(stones)
    for stone in gone:
        if _registered(lab, stone):
            found[f"{stone.model}:{stone.version}"].append("the registry still has the version")
    digests = {stone.sha256 for stone in gone if stone.sha256}
    for digest in digests:
        found[digest] += lab.control.get(f"/remains?{urlencode({'sha256': digest})}")
    store = lab.folder.registry / "artifacts"
    if store.is_dir():
        for path, digest in _files(store):
            if digest in digests:
                found[digest].append(f"the artifact store has {path}")
    elif digests:
        for digest in digests:
            found[digest].append("the artifact store is not on this machine and was not looked at")
    return found


def _registered(lab: Lab, stone: Tombstone) -> bool:
    """Whether that very version is still there; a model made anew under the name counts its versions from 1 again."""
    asked = urlencode({"name": stone.model, "version": stone.version})
    try:
        found = lab.registry().get(f"/model-versions/get?{asked}")["model_version"]
    except NotFoundError:
        return False
    digest = next((tag["value"] for tag in found.get("tags", []) if tag["key"] == SHA256), "")
    return digest == stone.sha256 or not stone.sha256


def _files(store: Path) -> Iterable[tuple[str, str]]:
    """Every file of the store with its SHA-256."""
    for path in sorted(store.rglob("*")):
        if path.is_file():
            yield path.relative_to(store).as_posix(), file_sha256(path)
