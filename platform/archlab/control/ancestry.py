"""Answers `GET /lineage`: gathers what is on record in this lab and has the way back computed from it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from archlab.control import lineage, snapshots
from archlab.control.service import Service
from archlab.errors import NotFoundError, UserError
from archlab.files import file_sha256
from archlab.lineage import log, names, served
from archlab.lineage.events import read_run
from archlab.lineage.facts import Facts, Origin, Predicted
from archlab.policy import chain
from archlab.spec.lineage import Lineage, LineageArtifact
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import FeatureSnapshot


def of_model(service: Service, model: str, version: str | None, alias: str) -> Lineage:
    """The way back from an alias or a version.

    Raises:
        NotFoundError: the registry and the log know no such model or version.
    """
    facts = gather(service)
    known = {*facts.aliases, *(run.job.partition(".")[2] for run in facts.runs), *_decided(facts)}
    if model not in known:
        raise NotFoundError(f"There is no model {model!r} in the registry.", "See: archlab models")
    if version is None:
        return served.of_alias(facts, model, alias)
    on_record = facts.made(names.version(model, version)) or facts.deleted(model, version)
    if not on_record and facts.origin(model, version) is None:
        raise NotFoundError(f"{model} has no version {version}.", f"See: archlab models show {model}")
    return served.of_version(facts, model, version)


def of_prediction(service: Service, identifier: str, model: str | None) -> Lineage:
    """The way back from the newest answer with that id.

    Raises:
        NotFoundError: no prediction log has it.
        UserError: several models answered a request of that id.
    """
    found = [p for p in _predictions(service.folder.predictions, identifier) if model in (None, p.model)]
    if not found:
        remedy = "Servers write their logs within a second; ids are those of answers and of x-request-id."
        raise NotFoundError(f"No prediction log has {identifier!r}.", remedy)
    models = sorted({p.model for p in found})
    if len(models) > 1:
        raise UserError(
            f"{', '.join(models)} answered requests with the id {identifier!r}.",
            f"Name one: archlab lineage {models[0]} --prediction {identifier}",
        )
    newest = max(found, key=lambda p: (not p.shadow, p.at))
    return served.of_prediction(gather(service), newest)


def gather(service: Service) -> Facts:
    """Everything on record, and ways to look things up."""
    with service.store.read() as db:
        records, (decided, unreadable) = lineage.read(db), _decisions(db)
    manifest, feed = snapshots.newest(service.store), service.feed.current()
    there = _There(service, manifest, {r.id: r.sha256 for r in feed.releases})
    return Facts(
        lab=service.folder.name,
        runs=tuple(run for record in records if (run := read_run(record)) is not None),
        log_faults=tuple(log.verify(records)),
        decisions=tuple(decided),
        decision_faults=(*unreadable, *chain.verify(decided)),
        releases=feed.releases,
        manifest=(manifest, _digest(manifest)) if manifest else None,
        origin=cache(there.origin),
        found=there.found,
        aliases=service.registry.aliases(),
    )


class _There:
    """What is there now: in the registry and on the disk."""

    def __init__(self, service: Service, manifest: FeatureSnapshot | None, released: dict[str, str]) -> None:
        self._service = service
        self._folder = service.folder
        self._views = {view.sha256 for view in manifest.views} if manifest else set()
        self._released = released

    def origin(self, model: str, version: str) -> Origin | None:
        """As the registry has it; None when it has no such version."""
        try:
            return self._service.registry.origin(model, version)
        except NotFoundError:
            return None

    def found(self, artifact: LineageArtifact) -> str | None:
        """Digest of what is there; None when nothing has to be, "" when it is in force and gone."""
        name, sha256 = artifact.name, artifact.sha256
        if name.startswith(names.REGISTRY):
            return self._registered(*name.removeprefix(names.REGISTRY).rpartition("/")[::2])
        if name.startswith(names.SOURCE):
            return self._source(name.removeprefix(names.SOURCE))
        if name.startswith(names.RELEASES):
            in_force = self._released.get(name.removeprefix(names.RELEASES)) == sha256
            return _of(self._folder.releases / "blobs" / sha256, needed=in_force)
        if name.startswith(names.TABLES):
            return _of(self._folder.releases / "blobs" / sha256, needed=sha256 in self._released.values())
        if name.startswith(names.SNAPSHOTS) and not name.startswith(names.MANIFEST):
            return _of(self._folder.snapshots / "blobs" / f"{sha256}.json", needed=sha256 in self._views)
        for prefix, root in ((names.BATCH, self._folder.batch), (names.CACHE, self._folder.cache)):
            path = (root / name.removeprefix(prefix)).resolve()
            if name.startswith(prefix) and path.is_relative_to(root.resolve()):
                return _of(path, needed=False)
        return None

    def _registered(self, model: str, version: str) -> str | None:
        try:
            return hashlib.sha256(self._service.registry.file(model, version)).hexdigest()
        except NotFoundError:
            return None

    def _source(self, name: str) -> str | None:
        from archlab.pipelines.data import ingest_of

        business, _, file = name.partition("/")
        if business != self._service.scenario.business:
            return None
        path = ingest_of(business).sources().get(file)
        return _of(path, needed=False) if path else None


def _of(path: Path, *, needed: bool) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return "" if needed else None


def _digest(manifest: FeatureSnapshot) -> str:
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()


def _decisions(db: sqlite3.Connection) -> tuple[list[DecisionRecord], list[str]]:
    """Decisions, oldest first, and a fault for each that can't be read."""
    found: list[DecisionRecord] = []
    faults: list[str] = []
    for row in db.execute("SELECT sequence, record FROM decisions ORDER BY sequence"):
        try:
            found.append(DecisionRecord.model_validate_json(row["record"]))
        except ValidationError:
            faults.append(f"record {row['sequence']} can't be read")
    return found, faults


def _decided(facts: Facts) -> set[str]:
    return {record.query.resource.name for record in facts.decisions if record.decision.allow}


def _predictions(logs: Path, identifier: str) -> Iterator[Predicted]:
    """Lines of every server's log that carry an id, whole or as the correlation id."""
    wanted = orjson.dumps(identifier)
    for path in sorted(logs.glob("*.jsonl*")):
        with suppress(FileNotFoundError), path.open("rb") as file:  # a rotated one may be gone by now
            for line in file:
                if wanted in line and (found := _prediction(line, identifier)) is not None:
                    yield found


def _prediction(line: bytes, identifier: str) -> Predicted | None:
    try:
        said: dict[str, Any] = orjson.loads(line)
        if identifier not in (said["request_id"], said.get("correlation_id")):
            return None
        keys = ", ".join(f"{k}={'|'.join(map(str, v[:3]))}" for k, v in (said["keys"] or {}).items())
        return Predicted(
            request_id=said["request_id"],
            at=datetime.fromisoformat(said["t"]),
            model=said["model"],
            version=str(said["version"]),
            release=said.get("release") or "",
            snapshot=int(said.get("snapshot") or 0),
            status=int(said.get("status", 200)),
            shadow=bool(said["shadow"]),
            keys=keys,
            prediction=", ".join(str(value) for value in said["prediction"][:3]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
