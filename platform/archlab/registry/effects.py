"""What the gate itself writes around an allowed change: author, digest, team, what was approved, when promoted."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import datetime

from archlab.errors import UnavailableError
from archlab.policy.lifecycle import RETIRE
from archlab.registry import evidence as ev
from archlab.registry import supply
from archlab.registry.calls import Kind
from archlab.registry.content import LabContent
from archlab.registry.demand import CHALLENGER, CHAMPION, Body, promoted_to, tags_of, text
from archlab.registry.lifecycle import action_of
from archlab.registry.recorder import DecisionRecorder
from archlab.registry.view import RegistryView
from archlab.spec.policy import Subject

log = logging.getLogger("archlab.registry")


class Effects:
    """Server-side tags. `before` goes into the request itself, so that no version is ever without its author."""

    MOVES_RELEASES = frozenset(
        {Kind.SET_ALIAS, Kind.DELETE_ALIAS, Kind.TRANSITION, Kind.DELETE_VERSION, Kind.DELETE_MODEL, Kind.RENAME_MODEL}
    )

    def __init__(self, view: RegistryView, content: LabContent) -> None:
        self._view = view
        self._content = content
        self._running: set[asyncio.Task[None]] = set()

    def before(self, kind: Kind, body: Body, subject: Subject) -> Body:
        """The body that MLflow is given."""
        if kind is Kind.CREATE_VERSION:
            return _tagged(body, ev.AUTHOR, subject.user)
        if kind is Kind.CREATE_EXPERIMENT and ev.TEAM not in {tag.get("key") for tag in tags_of(body)}:
            return _tagged(body, ev.TEAM, subject.team)
        if kind is Kind.CREATE_MODEL and not self._content.team(text(body, "name")):
            return _tagged(body, ev.TEAM, subject.team)
        return body

    def after(self, kind: Kind, body: Body, subject: Subject, answer: bytes, now: datetime) -> None:
        """Tags that need the change to be done. Blocking."""
        name = text(body, "name")
        if action_of(kind, body) == RETIRE:
            self._take_out(name, str(body.get("version") or ""), now)
            if kind is Kind.TRANSITION:
                self._view.tag_version(name, text(body, "version"), ev.RETIRED, f"stage {text(body, 'stage')}")
        elif kind is Kind.CREATE_VERSION:
            self._register_digest(name, str(json.loads(answer)["model_version"]["version"]))
        elif kind is Kind.TAG_VERSION and body.get("key") == ev.APPROVED_BY:
            self._remember_approved(name, text(body, "version"), now)
        elif promoted_to(kind, body) == CHAMPION:
            self._remember_champion(name, text(body, "version"), now)
        elif kind is Kind.DELETE_ALIAS and text(body, "alias").lower() == CHAMPION:
            self._remember_champion(name, "", now)

    def tell(self, recorder: DecisionRecorder) -> None:
        """Nudge control without waiting for it; it watches the registry anyway."""
        task = asyncio.create_task(_tell(recorder))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _take_out(self, name: str, version: str, now: datetime) -> None:
        """What is retired has no alias by which anybody would load it; of the whole model when version is empty."""
        model = self._view.model(name)
        for alias, number in model.aliases.items() if model else ():
            if alias in (CHAMPION, CHALLENGER) and (not version or int(number) == int(version)):
                self._view.delete_alias(name, alias)
                if alias == CHAMPION:
                    self._remember_champion(name, "", now)

    def _register_digest(self, name: str, version: str) -> None:
        found = self._view.version(name, version)
        if found and found.onnx_sha256:
            self._view.tag_version(name, version, ev.SHA256, found.onnx_sha256)
        if found and (materials := supply.materials(self._view.files(found.source), None)):
            self._view.tag_version(name, version, ev.BOM_SHA256, materials["sha256"])

    def _remember_approved(self, name: str, version: str, now: datetime) -> None:
        found = self._view.version(name, version)
        if found:
            self._view.tag_version(name, version, ev.APPROVED_EVIDENCE, ev.fingerprint(found))
            self._view.tag_version(name, version, ev.APPROVED_AT, now.isoformat())

    def _remember_champion(self, name: str, version: str, now: datetime) -> None:
        """Since when a version is champion, none when it is empty; and since when those before it are not."""
        for number, tags in self._view.tags(name).items():
            if version and int(number) == int(version):
                self._view.tag_version(name, number, ev.PROMOTED_AT, now.isoformat())
                if ev.REPLACED_AT in tags:
                    self._view.delete_version_tag(name, number, ev.REPLACED_AT)
            elif ev.PROMOTED_AT in tags and ev.REPLACED_AT not in tags:
                self._view.tag_version(name, number, ev.REPLACED_AT, now.isoformat())


def _tagged(body: Body, key: str, value: str) -> Body:
    return {**body, "tags": [*tags_of(body), {"key": key, "value": value}]}


async def _tell(recorder: DecisionRecorder) -> None:
    try:
        await recorder.promoted()
    except UnavailableError as error:
        log.warning("control was not told of a promotion: %s", error)
