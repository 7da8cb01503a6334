"""Follows the release feed and the feature snapshots, and swaps what is served when they change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archlab_features.reader import EMPTY, Snapshot, SnapshotError, read_snapshot

from .errors import FeedError, UnavailableError
from .feed import read_feed
from .metrics import Metrics
from .repository import Loaded, Loader, ServedModel
from .settings import Settings

logger = logging.getLogger("archlab_serving")

_RETRIED = frozenset({"unreadable", "key"})
_RETRY_S = 1.0

Stamp = tuple[int, int, int] | None


class Watcher:
    """What is served now (`loaded`, `snapshot`), each replaced in one assignment on the event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.loaded = Loaded()
        self.snapshot: Snapshot = EMPTY
        self._settings = settings
        self._metrics = metrics
        self._loader = Loader(settings, metrics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._lock = asyncio.Lock()
        self._feed_stamp: Stamp = None
        self._snapshot_stamp: Stamp = None
        self._retry_at = float("inf")

    @property
    def ready(self) -> bool:
        """Whether a feed has been read and all of it that can be loaded is loaded."""
        return self.loaded.sequence >= 0

    async def follow(self) -> None:
        """Looks at both files every `poll_s` until cancelled."""
        while True:
            try:
                await self.refresh()
            except Exception:
                logger.exception("following the release feed failed; what is loaded keeps serving")
            await asyncio.sleep(self._settings.poll_s)

    async def refresh(self) -> None:
        """Reads again whichever file has changed."""
        async with self._lock:
            await self._refresh_snapshot()
            await self._refresh_feed()

    async def catch_up(self, min_feed: int, min_snapshot: int) -> None:
        """Reads the files again when what is served is older than a request asks for.

        Raises:
            UnavailableError: the files themselves are not that far; names the one that is behind.
        """
        if self.loaded.sequence < min_feed or self.snapshot.sequence < min_snapshot:
            await self.refresh()
        if self.loaded.sequence < min_feed:
            raise UnavailableError(f"release feed is at {self.loaded.sequence}, x-archlab-min-feed asks for {min_feed}")
        if self.snapshot.sequence < min_snapshot:
            found = self.snapshot.sequence
            raise UnavailableError(f"feature snapshot is at {found}, x-archlab-min-snapshot asks for {min_snapshot}")

    def close(self) -> None:
        """Ends the loader's thread."""
        self._thread.shutdown(wait=True)

    async def _refresh_feed(self) -> None:
        stamp = _stamp(self._settings.feed)
        if stamp is None or (stamp == self._feed_stamp and time.monotonic() < self._retry_at):
            return
        try:
            loaded = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
        except FeedError as error:
            self._metrics.feed_errors.inc()
            logger.warning("feed not taken, what is loaded keeps serving: %s", error)
        else:
            self._switch(loaded)
        self._feed_stamp = stamp

    def _load(self) -> Loaded:
        feed = read_feed(self._settings.feed, self._settings.pool)
        return self._loader.load(feed, self.loaded)

    def _switch(self, loaded: Loaded) -> None:
        before, self.loaded = self.loaded, loaded
        retry = any(refusal.reason in _RETRIED for refusal in loaded.refused.values())
        self._retry_at = time.monotonic() + _RETRY_S if retry else float("inf")
        self._metrics.feed_sequence.set(loaded.sequence)
        old, new = _identities(before.served()), _identities(loaded.served())
        for gone in old - new:
            self._metrics.loaded.remove(*gone)
        for come in new - old:
            self._metrics.loaded.labels(*come).set(1)
        if old != new or before.sequence != loaded.sequence:
            logger.info("feed %d: %d served, %d refused", loaded.sequence, len(new), len(loaded.refused))

    async def _refresh_snapshot(self) -> None:
        path = self._settings.snapshots
        stamp = _stamp(path) if path is not None else None
        if path is None or stamp is None or stamp == self._snapshot_stamp:
            return
        loop = asyncio.get_running_loop()
        try:
            self.snapshot = await loop.run_in_executor(self._thread, read_snapshot, path, self.snapshot)
        except SnapshotError as error:
            self._metrics.snapshot_errors.inc()
            logger.warning("snapshot not taken, the last one stays in force: %s", error)
        else:
            self._report_snapshot()
        self._snapshot_stamp = stamp

    def _report_snapshot(self) -> None:
        self._metrics.snapshot_sequence.set(self.snapshot.sequence)
        self._metrics.feature_age.clear()
        for view in self.snapshot.views.values():
            age = (self.snapshot.business_time - view.materialized).total_seconds()
            self._metrics.feature_age.labels(view.name).set(age)


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _identities(models: Iterable[ServedModel]) -> set[tuple[str, str, str]]:
    return {(model.release.model, model.release.version, model.release.id) for model in models}
