"""The release feed: signed, numbered, written so that no reader ever sees half of it."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archlab.control import lineage
from archlab.control.store import Store
from archlab.errors import ArchlabError
from archlab.files import write_atomic, write_model
from archlab.settings import LabFolder
from archlab.spec.release import Release, ReleaseFeed

_FREELY_CHOSEN = {"created", "signature"}
KEPT_FEEDS = 50
Shares = dict[str, dict[str, int]]
"""Places by pool and team."""


class Feed:
    """The feed of one lab. The database has the last word; `feed.json` follows it."""

    def __init__(self, folder: LabFolder, store: Store) -> None:
        self._folder = folder.releases
        self._store = store
        self._lock = threading.Lock()
        self._key = folder.keys / "release.pem"
        self.trusted_keys = folder.keys / "trusted.pem"
        """Whose signatures of models count."""

    def current(self) -> ReleaseFeed:
        """The newest feed; empty with sequence 0 before the first."""
        with self._store.read() as db:
            row = db.execute("SELECT feed FROM feeds ORDER BY sequence DESC LIMIT 1").fetchone()
        return ReleaseFeed.model_validate_json(row["feed"]) if row else ReleaseFeed(sequence=0, releases=())

    def close(self, closed: dict[str, str]) -> None:
        """From now on servers refuse these teams' callers, with the reason; everybody else's are answered."""
        with self._lock:  # ticks close teams while the registry is followed
            before = self.current()
            if closed != before.closed:
                self._put(before, before.model_copy(update={"sequence": before.sequence + 1, "closed": closed}))

    def publish(self, releases: list[Release], shares: Shares | None = None) -> ReleaseFeed:
        """Make these the feed, with the teams' shares of each pool; unsigned ones are signed.

        The sequence grows only when something changed.
        """
        with self._lock:
            return self._publish(releases, shares or {})

    def _publish(self, releases: list[Release], shares: Shares) -> ReleaseFeed:
        before = self.current()
        known = {(r.id, r.pool): r for r in before.releases}
        wanted = tuple(
            self._settled(r, known.get((r.id, r.pool)))
            for r in sorted(releases, key=lambda r: (r.model, r.role, r.id, r.pool))
        )
        if (wanted, shares) == (before.releases, before.shares):
            self.repair(before)
            return before
        after = ReleaseFeed(sequence=before.sequence + 1, releases=wanted, shares=shares, closed=before.closed)
        self._put(before, after)
        return after

    def _put(self, before: ReleaseFeed, after: ReleaseFeed) -> None:
        with self._store.write() as db:
            db.execute("INSERT INTO feeds VALUES (?, ?)", (after.sequence, after.model_dump_json()))
            db.execute("DELETE FROM feeds WHERE sequence <= ?", (after.sequence - KEPT_FEEDS,))
            lineage.append(db, lineage.of_feed(before, after))
        write_model(self._folder / "feed.json", after)

    def repair(self, feed: ReleaseFeed) -> None:
        """Write feed.json again where it is missing or not the database's (killed in between).

        The empty feed is written too: a server is ready once it has read one.
        """
        path = self._folder / "feed.json"
        try:
            written = json.loads(path.read_bytes())["sequence"]
        except (OSError, ValueError, KeyError):
            written = -1
        if written != feed.sequence:
            write_model(path, feed)

    def blob(self, sha256: str) -> Path:
        """Where the file of that digest is, or would be."""
        return self._folder / "blobs" / sha256

    def has(self, sha256: str) -> bool:
        """Whether its file is there and is what its name says."""
        try:
            return hashlib.sha256(self.blob(sha256).read_bytes()).hexdigest() == sha256
        except OSError:
            return False

    def keep(self, content: bytes) -> str:
        """Write a file under its digest; returns the digest."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.has(sha256):
            write_atomic(self.blob(sha256), content)
        return sha256

    def drop(self, sha256s: set[str]) -> None:
        """Remove files that no feed names any more."""
        named = {r.sha256 for r in self.current().releases}
        for sha256 in sha256s - named:
            self.blob(sha256).unlink(missing_ok=True)

    def _settled(self, release: Release, known: Release | None) -> Release:
        if known and known.model_dump(exclude=_FREELY_CHOSEN) == release.model_dump(exclude=_FREELY_CHOSEN):
            return known
        return release.model_copy(update={"signature": self._sign(release)})

    def _sign(self, release: Release) -> str:
        key = serialization.load_pem_private_key(self._key.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ArchlabError(f"{self._key} is not an Ed25519 key.", "Make the lab anew: archlab down, archlab up")
        return base64.b64encode(key.sign(statement_bytes(release))).decode()


def statement_bytes(release: Release) -> bytes:
    """What is signed: canonical JSON of the release's statement."""
    return json.dumps(release.statement(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
