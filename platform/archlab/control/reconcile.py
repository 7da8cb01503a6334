"""From what the registry says and the decision log allows to what servers are told to load."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from archlab.control import batches, decisions, traffic
from archlab.control.batches import TableRun
from archlab.control.desired import Desired
from archlab.control.feed import Feed
from archlab.control.registry import Registered, Registry
from archlab.control.store import Store
from archlab.errors import ArchlabError, RefusedError, UnavailableError
from archlab.policy import lifecycle
from archlab.spec.plan import Backend, Plan
from archlab.spec.policy import DecisionRecord
from archlab.spec.release import Column, Release, ReleaseKind
from archlab.spec.scenario import Mode, Model, Scenario
from archlab_serving.model_signature import SignatureError, check_model, read_keys

Role = Literal["champion", "challenger"]
ROLES: tuple[Role, ...] = ("champion", "challenger")
COLUMNS_TAG, KEYS_TAG = "archlab.columns", "archlab.keys"
_COLUMNS: TypeAdapter[tuple[Column, ...]] = TypeAdapter(tuple[Column, ...])
_KEYS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])


@dataclass(slots=True)
class Outcome:
    """What one reconciliation did."""

    sequence: int = 0
    published: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """The answer of `POST /releases/reconcile`."""
        return {"sequence": self.sequence, "published": self.published, "refused": self.refused}


class Reconciler:
    """Publishes the feed; one at a time."""

    def __init__(self, store: Store, feed: Feed, registry: Registry, desired: Desired) -> None:
        self._store = store
        self._feed = feed
        self._registry = registry
        self._desired = desired
        self._lock = threading.Lock()
        self._versions: dict[tuple[str, str], Registered] = {}
        self._signatures: dict[tuple[str, str], str] = {}

    def run(self, *, retire: bool = False) -> Outcome:
        """Bring the feed up to date.

        Args:
            retire: also withdraw what a model that changed its mode or pool leaves behind; until then both stay
                published, so that no request is without an answer while the gateway moves over.

        Raises:
            UnavailableError: the registry does not answer; the feed stays as it is.
        """
        with self._lock:
            return self._run(retire=retire)

    def _run(self, *, retire: bool) -> Outcome:
        scenario, plan = self._desired.scenario, self._desired.plan
        aliases = self._registry.aliases()
        before = {(r.id, r.pool): r for r in self._feed.current().releases}
        outcome = Outcome()
        wanted: list[Release] = []
        for model in scenario.models:
            known = [r for r in before.values() if r.model == model.name and not self._retired(r.model, r.version)]
            wanted += self._of_model(model, scenario, plan, aliases.get(model.name, {}), known, outcome, retire=retire)
        feed = self._feed.publish(self._with_notices(wanted), plan.shares)
        outcome.sequence = feed.sequence
        outcome.published = [r.id for r in feed.releases if before.get((r.id, r.pool)) != r]
        self._clean(scenario)
        return outcome

    def _with_notices(self, releases: list[Release]) -> list[Release]:
        """The releases, those of deprecated versions and models with what their callers are to be told."""
        with self._store.read() as db:
            standings = decisions.standings(db)
        told = ((r, lifecycle.notice(standings, r.model, r.version)) for r in releases)
        return [
            r.model_copy(update={"deprecated": n.since if n else None, "sunset": n.sunset if n else None})
            for r, n in told
        ]

    def _retired(self, model: str, version: str) -> str:
        """The decision by which a version is gone for good; empty when it isn't."""
        with self._store.read() as db:
            found = decisions.retired(db, model, version)
        return found.id if found else ""

    def _of_model(
        self,
        model: Model,
        scenario: Scenario,
        plan: Plan,
        aliases: dict[str, str],
        known: list[Release],
        outcome: Outcome,
        *,
        retire: bool,
    ) -> list[Release]:
        kind = ReleaseKind.TABLE if model.mode is Mode.BATCH else ReleaseKind.ONNX
        found: list[Release] = []
        for role in ROLES:
            if role not in aliases or (role == "challenger" and _is_idle(kind, aliases)):
                continue
            try:
                made = self._release(model, scenario, plan, role, aliases[role])
            except UnavailableError:
                raise
            except ArchlabError as error:
                outcome.refused.append(
                    {"model": model.name, "version": aliases[role], "role": role, "reason": str(error)}
                )
                found += [r for r in known if r.kind is kind and r.role == role]
            else:
                found += [made] if made else []
        found += _still_named(plan, model.name, [r for r in known if r.kind is kind], found)
        found = self._within_shares(plan, found, outcome)
        settled = any(r.role == "champion" for r in found)
        pool = model.pool if kind is ReleaseKind.ONNX else _table_pool(model, scenario)
        leaving = [] if retire and settled else [r for r in known if (r.kind, r.pool) != (kind, pool)]
        return found + [r for r in leaving if r not in found]

    def _within_shares(self, plan: Plan, releases: list[Release], outcome: Outcome) -> list[Release]:
        """Without challengers to which the plan sends more callers than a decision lets it."""
        challengers = [r for r in releases if r.role == "challenger"]
        if not challengers:
            return releases
        with self._store.read() as db:
            faults = {r.id: traffic.beyond(db, plan, r.model, r.version, r.decision_sha256) for r in challengers}
        outcome.refused += [
            {"model": r.model, "version": r.version, "role": r.role, "reason": faults[r.id]}
            for r in challengers
            if faults[r.id]
        ]
        return [r for r in releases if r.role != "challenger" or not faults[r.id]]

    def _release(self, model: Model, scenario: Scenario, plan: Plan, role: Role, version: str) -> Release | None:
        if model.mode is Mode.ONLINE:
            return self._onnx(model, plan, role, version)
        with self._store.read() as db:
            table = batches.newest(db, model.name)
        return self._table(model, scenario, table) if table else None

    def _onnx(self, model: Model, plan: Plan, role: Role, version: str) -> Release:
        registered, decision, signature = self._let_through(model.name, version, role)
        sha256 = decision.query.resource.digest
        return Release(
            id=f"{model.name}:{version}",
            kind=ReleaseKind.ONNX,
            pool=model.pool,
            sha256=sha256,
            path=f"blobs/{sha256}",
            size_bytes=self._feed.blob(sha256).stat().st_size,
            weight=_weight(plan, model.name, version, role),
            role=role,
            model_signature=signature,
            **_common(model, registered, decision),
        )

    def _table(self, model: Model, scenario: Scenario, table: TableRun) -> Release:
        version = table.run.version
        registered, decision, signature = self._let_through(model.name, version, "champion")
        if table.source_sha256 not in ("", decision.query.resource.digest):
            raise RefusedError(
                f"run {table.run.id} was computed with file {table.source_sha256[:12]}…, the decision names"
                f" {decision.query.resource.digest[:12]}…"
            )
        return Release(
            id=f"{model.name}:{version}:{table.run.id}",
            kind=ReleaseKind.TABLE,
            pool=_table_pool(model, scenario),
            sha256=table.sha256,
            path=f"blobs/{table.sha256}",
            size_bytes=table.size_bytes,
            table_keys=table.table_keys,
            model_signature=signature,
            **_common(model, registered, decision),
        )

    def champion(self, model: str) -> dict[str, Any]:
        """The version that jobs may use, and its file: version, sha256, path below the releases, columns, keys.

        Raises:
            RefusedError: no champion, or no allow decision for it.
        """
        version = self._registry.aliases().get(model, {}).get("champion")
        if version is None:
            raise RefusedError(f"{model} has no champion.", f"Promote a version: archlab promote {model} VERSION")
        with self._lock:
            registered, decision, _ = self._let_through(model, version, "champion")
        sha256 = decision.query.resource.digest
        return {
            "model": model,
            "version": version,
            "sha256": sha256,
            "path": f"blobs/{sha256}",
            "columns": [c.model_dump(mode="json") for c in _tag(registered, COLUMNS_TAG, _COLUMNS)],
            "keys": list(_tag(registered, KEYS_TAG, _KEYS)),
        }

    def _let_through(self, model: str, version: str, role: Role) -> tuple[Registered, DecisionRecord, str]:
        """The version, the allow decision that names the very digest of its file, and its signature, which does too."""
        with self._store.read() as db:
            decision = decisions.allowed(db, f"promotion/{role}", model, version)
        if decision is None:
            raise RefusedError(f"no allow decision for {model} version {version} as {role} is in the log")
        if gone := self._retired(model, version):
            raise RefusedError(f"{model} version {version} was retired by decision {gone}")
        digest = decision.query.resource.digest
        self._fetch(model, version, digest)
        return self._version(model, version), decision, self._signature(model, version, digest)

    def _signature(self, model: str, version: str, digest: str) -> str:
        """The model's own signature.

        Raises:
            RefusedError: no trusted key signed the file that was decided on.
        """
        known = self._signatures.get((model, version))
        if known is None or self._fault(known, digest):
            known = self._registry.signature(model, version)
            if fault := self._fault(known, digest):
                raise RefusedError(f"{model} version {version}: {fault}")
            self._signatures[model, version] = known
        return known

    def _fault(self, signature: str, digest: str) -> str:
        try:
            check_model(signature, digest, read_keys(self._feed.trusted_keys))
        except SignatureError as error:
            return error.message
        return ""

    def _fetch(self, model: str, version: str, digest: str) -> None:
        if digest and self._feed.has(digest):
            return
        content = self._registry.file(model, version)
        found = hashlib.sha256(content).hexdigest()
        if found != digest:
            raise RefusedError(
                f"the registry's file of {model} version {version} has digest {found[:12]}…, the decision names"
                f" {digest[:12] or 'none'}…"
            )
        self._feed.keep(content)

    def _version(self, model: str, version: str) -> Registered:
        known = self._versions.get((model, version))
        if known is None or not {COLUMNS_TAG, KEYS_TAG} <= known.tags.keys():
            known = self._versions[model, version] = self._registry.version(model, version)
        return known

    def _clean(self, scenario: Scenario) -> None:
        with self._store.read() as db:
            outdated: set[str] = set()
            outdated.update(*(batches.outdated(db, m.name) for m in scenario.models), decisions.deleted_files(db))
        self._feed.drop(outdated)


def _common(model: Model, registered: Registered, decision: DecisionRecord) -> dict[str, Any]:
    digest = decision.query.resource.digest
    return {
        "model": model.name,
        "version": registered.version,
        "team": model.team,
        "decision_id": decision.id,
        "decision_sha256": digest,
        "source_sha256": digest,
        "columns": _tag(registered, COLUMNS_TAG, _COLUMNS),
        "keys": _tag(registered, KEYS_TAG, _KEYS),
        "created": datetime.now(UTC),
        "signature": "",
    }


def _tag(registered: Registered, name: str, kind: TypeAdapter[Any]) -> Any:
    try:
        return kind.validate_json(registered.tags[name])
    except KeyError:
        raise RefusedError(f"{registered.model} version {registered.version} has no tag {name}") from None
    except ValidationError:
        raise RefusedError(f"tag {name} of {registered.model} version {registered.version} can't be read") from None


def _is_idle(kind: ReleaseKind, aliases: dict[str, str]) -> bool:
    """A challenger beside a table, or one that is the champion by now."""
    return kind is ReleaseKind.TABLE or aliases["challenger"] == aliases.get("champion")


def _still_named(plan: Plan, model: str, known: list[Release], found: list[Release]) -> list[Release]:
    """Versions that the gateway names stay loaded until it doesn't, whatever became of their alias."""
    named = next((route.versions for route in plan.routes if route.model == model), frozenset[str]())
    missing = named - {r.version for r in found}
    kept = {r.version: r.model_copy(update={"role": "challenger"}) for r in known if r.version in missing}
    return list(kept.values())


def _table_pool(model: Model, scenario: Scenario) -> str:
    tables = [p.name for p in scenario.pools if p.serves == "table"]
    return model.pool if model.pool in tables else tables[0]


def _weight(plan: Plan, model: str, version: str, role: Role) -> int:
    backends: tuple[Backend, ...] = next((r.backends for r in plan.routes if r.model == model), ())
    pinned = sum(b.weight for b in backends if b.version)
    if role == "champion":
        return 100 - pinned
    return sum(b.weight for b in backends if b.version == version)
