"""Follows the release feed and the feature snapshots, and swaps what is served when they change."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from archlab_features.reader import EMPTY, Snapshot, SnapshotError, read_snapshot

from .errors import FeedError, UnavailableError
from .feed import NO_FEED, read_feed
from .metrics import Metrics
from .repository import Checked, Loaded, Loader, ServedModel
from .residency import Residency
from .settings import Settings
from .shares import Shares

logger = logging.getLogger("archlab_serving")

_RETRIED = frozenset({"unreadable", "key", "model-key"})
_RETRY_S = 1.0
ARRIVING_S = 0.02

Stamp = tuple[int, int, int] | None


class Watcher:
    """What is served now (`loaded`, `snapshot`), each replaced in one assignment on the event loop."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.loaded = Loaded()
        self.snapshot: Snapshot = EMPTY
        self._settings = settings
        self._metrics = metrics
        self.residency = Residency(settings, metrics)
        self.shares = Shares(metrics)
        self._feed = NO_FEED
        self._loader = Loader(settings, metrics, self.residency)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="feed-reader")
        self._feed_lock, self._snapshot_lock = asyncio.Lock(), asyncio.Lock()
        self._feed_stamp: Stamp = None
        self._snapshot_stamp: Stamp = None
        self._retry_at = float("inf")

    @property
    def ready(self) -> bool:
        """Whether a feed has been read, and what it names is loaded as far as it is to be before a request comes."""
        return self.loaded.sequence >= 0

    async def follow(self) -> None:
        """Looks at both files every `poll_s` until cancelled; loading models doesn't hold up snapshots."""
        await asyncio.gather(self._follow(self._refresh_snapshot), self._follow(self._refresh_feed))

    async def refresh(self) -> None:
        """Reads again whichever file has changed.

        Raises:
            UnavailableError: what a changed feed names is still being loaded after `load_timeout_s`.
        """
        await self._refresh_snapshot()
        reading = asyncio.ensure_future(self._refresh_feed())
        try:
            await asyncio.wait_for(asyncio.shield(reading), self._settings.load_timeout_s)
        except TimeoutError:
            raise UnavailableError("the models of a changed release feed are still being loaded; try again") from None

    async def catch_up(self, min_feed: int, min_snapshot: int) -> None:
        """Reads the files again when what is served is older than a request asks for.

        Raises:
            UnavailableError: the files themselves are not that far; names the one that is behind.
        """
        deadline = time.monotonic() + self._settings.catch_up_s
        while self.loaded.sequence < min_feed or self.snapshot.sequence < min_snapshot:
            await self.refresh()
            if time.monotonic() >= deadline:
                break
            await asyncio.sleep(ARRIVING_S)
        if self.loaded.sequence < min_feed:
            raise UnavailableError(f"release feed is at {self.loaded.sequence}, x-archlab-min-feed asks for {min_feed}")
        if self.snapshot.sequence < min_snapshot:
            found = self.snapshot.sequence
            raise UnavailableError(f"feature snapshot is at {found}, x-archlab-min-snapshot asks for {min_snapshot}")

    def close(self) -> None:
        """Ends the threads."""
        self._thread.shutdown(wait=True)
        self.residency.close()

    async def _follow(self, refresh: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await refresh()
            except Exception:
                logger.exception("following feed and snapshots failed; what is loaded keeps serving")
            await asyncio.sleep(self._settings.poll_s)

    async def _refresh_feed(self) -> None:
        async with self._feed_lock:
            stamp = _stamp(self._settings.feed)
            moved = self.residency.devices.changed()
            if stamp is None or (stamp == self._feed_stamp and not moved and time.monotonic() < self._retry_at):
                return
            try:
                checked = await asyncio.get_running_loop().run_in_executor(self._thread, self._check)
            except FeedError as error:
                self._metrics.feed_errors.inc()
                logger.warning("feed not taken, what is loaded keeps serving: %s", error)
            else:
                self.shares.set(self._feed.shares, self._feed.closed)
                self._switch(await self._loader.load(checked, self.loaded))
            self._feed_stamp = stamp

    def _check(self) -> Checked:
        self.residency.devices.read()
        self._feed = read_feed(self._settings.feed, self._settings.pool, self._feed)
        return self._loader.check(self._feed, self.loaded)

    def _switch(self, loaded: Loaded) -> None:
        before, self.loaded = self.loaded, loaded
        for served in loaded.served():
            served.file.champion = served.release.role == "champion"
        self.residency.follow(served.file for served in loaded.served())
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
        async with self._snapshot_lock:
            await self._take_snapshot()

    async def _take_snapshot(self) -> None:
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
