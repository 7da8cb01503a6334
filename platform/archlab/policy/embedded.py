"""The embedded engine: rego-cpp in the deciding process."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from archlab.errors import ArchlabError
from archlab.policy.answers import decision_from, denial
from archlab.policy.bundle import ENTRY, BundleError, SignedBundle, load
from archlab.policy.interpreter import Program, RegoError, engine_name
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, Query

log = logging.getLogger("archlab.policy")

Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and modification time of the bundle's files."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    signed: SignedBundle
    program: Program


class EmbeddedEngine:
    """Implements `archlab.spec.policy.PolicyEngine`; safe for threads; takes a new bundle without a restart."""

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._loaded: _Loaded | None = None
        self._fault = "No policy bundle was published."
        self._name = engine_name()

    def decide(self, query: Query) -> Decision:
        """Decide one query; denies when there is no bundle or evaluation fails."""
        loaded = self._current()
        if loaded is None:
            return denial("no_bundle", self._fault, engine=self._name, bundle_digest="")
        digest = loaded.signed.digest
        document = query.model_dump_json()
        try:
            return decision_from(loaded.program.evaluate(document), engine=self._name, bundle_digest=digest)
        except (RegoError, ValidationError, TypeError, KeyError) as error:
            rule, message = _culprit(loaded.signed, query, document) or ("archlab/engine", str(error))
            log.warning("policy evaluation failed in %s: %s", rule, message)
            return denial("rule_error", message, rule=rule, engine=self._name, bundle_digest=digest)

    @property
    def bundle_digest(self) -> str:
        """Digest of the bundle in force; empty when there is none."""
        loaded = self._current()
        return loaded.signed.digest if loaded else ""

    def _current(self) -> _Loaded | None:
        """The bundle in force: re-read when its files changed, the last good one when they can't be used."""
        with self._lock:
            stamp = _stamp(self._folder)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            return self._loaded

    def _reload(self) -> None:
        try:
            signed = load(self._folder)
            if self._loaded is None or signed.digest != self._loaded.signed.digest:
                self._loaded = _Loaded(signed, Program(signed.bundle.modules, ENTRY))
                log.info("policy bundle %s is in force", signed.digest[:12])
        except (BundleError, RegoError) as error:
            self._fault = error.message
            kept = self._loaded.signed.digest[:12] if self._loaded else "nothing"
            log.warning("policy bundle refused, %s stays in force: %s", kept, error)


def _stamp(folder: LabFolder) -> Stamp:
    found = []
    for name in ("bundle.json", "bundle.sig"):
        try:
            status = (folder.bundle / name).stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def _culprit(signed: SignedBundle, query: Query, document: str) -> tuple[str, str] | None:
    """Which rule of the query's area fails on this input, and how."""
    area = query.action.partition("/")[0]
    for rule in signed.bundle.rules:
        if rule.area != area:
            continue
        try:
            entry = f"data.archlab.rules.{rule.area}.{rule.name}"
            _: Any = Program(signed.bundle.modules, entry).evaluate(document)
        except ArchlabError as error:
            return f"{rule.area}/{rule.name}", f"The rule failed: {error.message}."
    return None
