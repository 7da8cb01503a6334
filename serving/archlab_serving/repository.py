"""The models in memory: which releases are served, and how one set of them replaces another.

A set is immutable. Requests hold the model that they were given; a replaced one goes when the last of them is answered,
by reference counting.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archlab_features.reader import Snapshot

from .errors import RefusedReleaseError, UnavailableError, UnknownModelError
from .features import Binding, bind
from .feed import Feed, Release, read_blob, read_public_key, verify
from .metrics import Metrics, ModelMetrics
from .runtime import OnnxModel, Table, load_onnx, load_table
from .settings import Settings

logger = logging.getLogger("archlab_serving")


class ServedModel:
    """One release, loaded."""

    __slots__ = ("__weakref__", "_binding", "backend", "metrics", "release")

    def __init__(self, release: Release, backend: OnnxModel | Table, metrics: ModelMetrics) -> None:
        self.release = release
        self.backend = backend
        self.metrics = metrics
        self._binding: Binding | None = None

    def binding(self, snapshot: Snapshot) -> Binding:
        """The release's columns against `snapshot`; kept until the next one comes."""
        binding = self._binding
        if binding is None or binding.snapshot is not snapshot:
            binding = self._binding = bind(self.release, snapshot)
        return binding


@dataclass(frozen=True, slots=True)
class Versions:
    """The loaded versions of one model; `champion` answers when the caller names none."""

    champion: ServedModel | None
    by_version: Mapping[str, ServedModel]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A release that must not be served, and why."""

    release: Release
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything served at one sequence of the feed."""

    sequence: int = -1
    """-1 before the first feed."""
    models: Mapping[str, Versions] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    """By release id."""

    def select(self, model: str, version: str = "") -> ServedModel:
        """The champion, or the named version.

        Raises:
            UnknownModelError: nothing of that name is served here.
            UnavailableError: the feed is not read yet, or the release that would answer was refused.
        """
        found = self.find(model, version)
        if found is None:
            raise self._why_not(model, version)
        return found

    def find(self, model: str, version: str = "") -> ServedModel | None:
        """The champion, or the named version; None when it isn't loaded."""
        versions = self.models.get(model)
        if versions is None:
            return None
        return versions.by_version.get(version) if version else versions.champion

    def served(self) -> Iterator[ServedModel]:
        """Every loaded model that can be asked for."""
        for versions in self.models.values():
            yield from versions.by_version.values()

    def _why_not(self, model: str, version: str) -> UnknownModelError | UnavailableError:
        if self.sequence < 0:
            return UnavailableError("the release feed has not been read yet")
        for refusal in self.refused.values():
            release = refusal.release
            if release.model == model and version in ("", release.version):
                return UnavailableError(f"release {release.id} was refused ({refusal.reason}): {refusal.message}")
        versions = self.models.get(model)
        if versions is None:
            return UnknownModelError(f"model {model!r} is not served here; this pool serves {_names(self.models)}")
        if not version:
            return UnavailableError(f"model {model!r} has no champion; loaded are {_names(versions.by_version)}")
        return UnknownModelError(
            f"model {model!r} has no version {version!r} here; loaded are {_names(versions.by_version)}"
        )


class Loader:
    """Turns a feed into what is served, taking over from the previous set what has not changed."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics

    def load(self, feed: Feed, previous: Loaded) -> Loaded:
        """Loads beside `previous`; where a release is refused, the last good one of its model and role stays."""
        reusable = {_content(model.release): model for model in previous.served()}
        good: list[ServedModel] = []
        kept: list[ServedModel] = []
        refused: dict[str, Refusal] = {}
        key = self._public_key()
        for release in feed.releases:
            try:
                good.append(self._model(release, key, reusable.get(_content(release))))
            except RefusedReleaseError as error:
                refused[release.id] = refusal = Refusal(release, error.reason, error.message)
                self._report(refusal, previous)
                kept += _last_good(previous, release)
        return Loaded(feed.sequence, _by_name(good, kept), refused)

    def _public_key(self) -> Ed25519PublicKey | RefusedReleaseError:
        try:
            return read_public_key(self._settings.public_key)
        except RefusedReleaseError as error:
            return error

    def _model(
        self, release: Release, key: Ed25519PublicKey | RefusedReleaseError, known: ServedModel | None
    ) -> ServedModel:
        if known is not None and known.release == release:
            return known
        if isinstance(key, RefusedReleaseError):
            raise key
        verify(release, key)
        backend = known.backend if known is not None else self._backend(release, self._settings.feed.parent)
        return ServedModel(release, backend, ModelMetrics(self._metrics, release.team, release.model, release.version))

    def _backend(self, release: Release, folder: Path) -> OnnxModel | Table:
        data = read_blob(folder, release)
        if release.kind == "table":
            return load_table(release, data)
        return load_onnx(release, data, threads=self._settings.threads, inline_ms=self._settings.inline_ms)

    def _report(self, refusal: Refusal, previous: Loaded) -> None:
        before = previous.refused.get(refusal.release.id)
        if before is not None and (before.reason, before.message) == (refusal.reason, refusal.message):
            return
        self._metrics.refused.labels(refusal.release.model, refusal.reason).inc()
        logger.error("release %s refused (%s): %s", refusal.release.id, refusal.reason, refusal.message)


def _content(release: Release) -> tuple[object, ...]:
    """What decides how a file is loaded; a role may change without loading it again."""
    return (release.id, release.kind, release.sha256, release.columns, release.table_keys)


def _last_good(previous: Loaded, release: Release) -> list[ServedModel]:
    """What served this model in this role before; none or one."""
    versions = previous.models.get(release.model, Versions(None, {}))
    if release.role == "champion":
        return [versions.champion] if versions.champion is not None else []
    return [model for model in versions.by_version.values() if model.release.role == release.role]


def _by_name(good: Iterable[ServedModel], kept: Iterable[ServedModel]) -> dict[str, Versions]:
    """Models by name and version; of two with one version, or two champions, the newly published one counts."""
    by_name: dict[str, dict[str, ServedModel]] = {}
    champions: dict[str, ServedModel] = {}
    for served in (*kept, *good):
        release = served.release
        by_name.setdefault(release.model, {})[release.version] = served
        if release.role == "champion":
            champions[release.model] = served
    return {name: Versions(champions.get(name), versions) for name, versions in by_name.items()}


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
