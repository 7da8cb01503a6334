"""Which releases are served, and how one set of them replaces another.

A set is immutable. Requests hold the model that they were given; a replaced one goes when the last of them is answered.
Whether a served release is in memory at a moment is `residency`'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archlab_features.reader import Snapshot

from .errors import RefusedReleaseError, UnavailableError, UnknownModelError
from .features import Binding, bind
from .feed import Feed, Release, read_public_key, verify
from .loading import Backend
from .metrics import Metrics, ModelMetrics
from .model_file import ModelFile, Tensors
from .model_signature import Keys, SignatureError, check_model, read_keys
from .residency import Residency
from .settings import Settings

logger = logging.getLogger("archlab_serving")

_SIGNATURE_REASONS = {"absent": "model-unsigned", "unknown_key": "model-key"}
"""Why a model's signature is refused, as a metric's label; the rest is `model-signature`."""


class ServedModel:
    """One release that may be asked for, in memory or not."""

    __slots__ = ("__weakref__", "_binding", "file", "metrics", "release")

    def __init__(self, release: Release, file: ModelFile, metrics: ModelMetrics) -> None:
        self.release = release
        self.file = file
        self.metrics = metrics
        self._binding: Binding | None = None

    @property
    def backend(self) -> Backend:
        """What answers; to be asked for within `with served.file:` and after `Residency.load`.

        Raises:
            UnavailableError: it is not in memory.
        """
        backend = self.file.backend
        if backend is None:
            raise UnavailableError(f"{self.release.id} is not in memory")
        return backend

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


@dataclass(frozen=True, slots=True)
class Checked:
    """A feed whose releases have been verified, and nothing of which has been loaded yet."""

    sequence: int
    good: tuple[tuple[Release, ServedModel | None], ...]
    """With what served it before, if anything did."""
    refused: tuple[Refusal, ...]


class Loader:
    """Turns a feed into what is served, taking over from the previous set what has not changed."""

    def __init__(self, settings: Settings, metrics: Metrics, residency: Residency) -> None:
        self._settings = settings
        self._metrics = metrics
        self._residency = residency

    def check(self, feed: Feed, previous: Loaded) -> Checked:
        """Verifies what is new in the feed; may run in any thread."""
        known = {served.release.id: served for served in previous.served()}
        key, trusted = self._public_key(), self._trusted_keys()
        good: list[tuple[Release, ServedModel | None]] = []
        refused: list[Refusal] = []
        for release in feed.releases:
            before = known.get(release.id)
            try:
                if before is None or not _same(before.release, release):
                    _verify(release, key)
                    _verify_model(release, trusted)
                good.append((release, before))
            except RefusedReleaseError as error:
                refused.append(Refusal(release, error.reason, error.message))
        return Checked(feed.sequence, tuple(good), tuple(refused))

    async def load(self, checked: Checked, previous: Loaded) -> Loaded:
        """Loads beside `previous`; where a release is refused, the last good one of its model and role stays."""
        good = [self._served(release, before) for release, before in checked.good]
        refused = list(checked.refused)
        room = True
        for served in sorted(good, key=_urgency):
            if served.file.backend is not None or not (room or self._warm(served, previous)):
                continue
            try:
                room = await self._prepare(served, previous) and room
            except RefusedReleaseError as error:
                refused.append(Refusal(served.release, error.reason, error.message))
        for refusal in refused:
            self._report(refusal, previous)
        bad = {refusal.release.id: refusal for refusal in refused}
        kept = [model for refusal in refused for model in _last_good(previous, refusal.release)]
        return Loaded(checked.sequence, _by_name((s for s in good if s.release.id not in bad), kept), bad)

    def _public_key(self) -> Ed25519PublicKey | RefusedReleaseError:
        try:
            return read_public_key(self._settings.public_key)
        except RefusedReleaseError as error:
            return error

    def _trusted_keys(self) -> Keys | SignatureError:
        try:
            return read_keys(self._settings.trusted_keys)
        except SignatureError as error:
            return error

    def _served(self, release: Release, before: ServedModel | None) -> ServedModel:
        if before is not None and not self._stays_put(before):
            before = None
        if before is not None and _same(before.release, release):
            return before
        if before is not None and _content(before.release) == _content(release):
            file = before.file
            file.release = release
        else:
            file = self._residency.file(release)
        return ServedModel(release, file, ModelMetrics(self._metrics, release.team, release.model, release.version))

    def _stays_put(self, served: ServedModel) -> bool:
        """Whether it is on the device, or the CPU, that it is to be on."""
        return served.file.assignment == self._residency.devices.placements.of(served.release.model)

    def _warm(self, served: ServedModel, previous: Loaded) -> bool:
        """Whether it takes the place of something in memory, so that its callers must not wait for it."""
        return any(model.file.backend is not None for model in _last_good(previous, served.release))

    async def _prepare(self, served: ServedModel, previous: Loaded) -> bool:
        """Loads it now if it should be in memory before its first request; False when there was no room.

        Raises:
            RefusedReleaseError: the file must not be served, or asks callers for other tensors than the one before.
        """
        urgent = served.file.pinned or self._warm(served, previous)
        if not urgent and self._settings.loading != "eager":
            return True
        room = await self._residency.prepare(served.file, evict=urgent)
        if not room:
            logger.warning("the memory limit has no room for %s before its first request", served.release.id)
        for last in _last_good(previous, served.release) or _champion(previous, served.release.model):
            _check_tensors(served, last)
        return room

    def _report(self, refusal: Refusal, previous: Loaded) -> None:
        before = previous.refused.get(refusal.release.id)
        if before is not None and (before.reason, before.message) == (refusal.reason, refusal.message):
            return
        self._metrics.refused.labels(refusal.release.model, refusal.reason).inc()
        logger.error("release %s refused (%s): %s", refusal.release.id, refusal.reason, refusal.message)


def _same(before: Release, release: Release) -> bool:
    """Whether they are equal; an entry that stands in both feeds was read once."""
    return before is release or before == release


def _verify(release: Release, key: Ed25519PublicKey | RefusedReleaseError) -> None:
    if isinstance(key, RefusedReleaseError):
        raise key
    verify(release, key)


def _verify_model(release: Release, keys: Keys | SignatureError) -> None:
    """Checks that a trusted key signed the model itself, whoever released it.

    A table's is that of the file which computed it.

    Raises:
        RefusedReleaseError: none did.
    """
    try:
        if isinstance(keys, SignatureError):
            raise keys
        check_model(release.model_signature, release.source_sha256, keys)
    except SignatureError as error:
        reason = _SIGNATURE_REASONS.get(error.state, "model-signature")
        raise RefusedReleaseError(reason, f"{release.id}: {error.message}") from error


def _urgency(served: ServedModel) -> tuple[bool, bool]:
    """What is loaded first while there is room: pinned models, then champions."""
    return not served.file.pinned, served.release.role != "champion"


def _check_tensors(served: ServedModel, last: ServedModel) -> None:
    """A tensor model's callers name its tensors: a version with others is another model.

    Columnar models may change their columns: callers' tensors are found by name, and policies judge what is new.
    """
    before, after = last.file.tensors, served.file.tensors
    if served.release.columns or served.release.kind == "table" or after is None:
        return
    if before is not None and last.release.kind == "onnx" and before != after:
        raise RefusedReleaseError(
            "inputs",
            f"version {served.release.version} takes and answers {_shown(after)}, version {last.release.version} "
            f"{_shown(before)}; publish it under a name of its own",
        )


def _shown(tensors: Tensors) -> str:
    inputs, outputs = (
        ", ".join(f"{t.name} {t.datatype} {list(t.shape)}" for t in specs)
        for specs in (tensors.inputs, tensors.outputs)
    )
    return f"{inputs} -> {outputs}"


def _content(release: Release) -> tuple[object, ...]:
    """What decides how a file is loaded; a role may change without loading it again."""
    return (release.id, release.kind, release.sha256, release.columns, release.table_keys)


def _last_good(previous: Loaded, release: Release) -> list[ServedModel]:
    """What served this model in this role before; none or one."""
    if release.role == "champion":
        return _champion(previous, release.model)
    versions = previous.models.get(release.model, Versions(None, {}))
    return [model for model in versions.by_version.values() if model.release.role == release.role]


def _champion(previous: Loaded, model: str) -> list[ServedModel]:
    versions = previous.models.get(model, Versions(None, {}))
    return [versions.champion] if versions.champion is not None else []


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
