"""The embedded engine: rego-cpp in the deciding process."""

from __future__ import annotations

import logging
import threading
from typing import Any

from pydantic import ValidationError

from archlab.errors import ArchlabError
from archlab.policy.answers import decision_from, denial
from archlab.policy.bundle import ENTRY, BundledRule, SignedBundle
from archlab.policy.inforce import InForce
from archlab.policy.interpreter import Program, RegoError, engine_name
from archlab.policy.slices import applicable, sliced
from archlab.settings import LabFolder
from archlab.spec.policy import Decision, Query

log = logging.getLogger("archlab.policy")


class EmbeddedEngine:
    """Implements `archlab.spec.policy.PolicyEngine`; safe for threads; takes a new bundle without a restart."""

    def __init__(self, folder: LabFolder) -> None:
        self._in_force = InForce(folder)
        self._name = engine_name()
        self._lock = threading.Lock()
        self._programs: dict[tuple[BundledRule, ...], Program] = {}
        self._compiled = ""

    def decide(self, query: Query) -> Decision:
        """Decide one query; denies when there is no bundle or evaluation fails."""
        signed = self._in_force.current()
        if signed is None:
            return denial("no_bundle", self._in_force.fault, engine=self._name, bundle_digest="")
        document = query.model_dump_json()
        try:
            answer = self._program(signed, query.action).evaluate(document)
            return decision_from(answer, engine=self._name, bundle_digest=signed.digest)
        except (RegoError, ValidationError, TypeError, KeyError) as error:
            rule, message = _culprit(signed, query, document) or ("archlab/engine", str(error))
            log.warning("policy evaluation failed in %s: %s", rule, message)
            return denial("rule_error", message, rule=rule, engine=self._name, bundle_digest=signed.digest)

    @property
    def bundle_digest(self) -> str:
        """Digest of the bundle in force; empty when there is none."""
        signed = self._in_force.current()
        return signed.digest if signed else ""

    def _program(self, signed: SignedBundle, action: str) -> Program:
        """The compiled slice of the bundle for an action; actions with the same rules share one.

        Raises:
            RegoError: it does not compile.
        """
        rules = applicable(signed.bundle, action)
        with self._lock:
            if self._compiled != signed.digest:
                self._programs, self._compiled = {}, signed.digest
            if rules not in self._programs:
                self._programs[rules] = Program(sliced(signed.bundle, rules), ENTRY)
            return self._programs[rules]


def _culprit(signed: SignedBundle, query: Query, document: str) -> tuple[str, str] | None:
    """Which rule that applies fails on this input, and how."""
    for rule in applicable(signed.bundle, query.action):
        try:
            entry = f"data.archlab.rules.{rule.area}.{rule.name}"
            _: Any = Program(signed.bundle.modules, entry).evaluate(document)
        except ArchlabError as error:
            return f"{rule.area}/{rule.name}", f"The rule failed: {error.message}."
    return None
