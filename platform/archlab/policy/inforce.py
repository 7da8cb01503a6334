"""The bundle in force: read again when its files change, checked, and kept when what is there can't be used."""

from __future__ import annotations

import logging
import threading

from archlab.policy.bundle import BundleError, SignedBundle, load
from archlab.settings import LabFolder

log = logging.getLogger("archlab.policy")

Stamp = tuple[tuple[int, int, int], ...]
"""Inode, size and modification time of the bundle's files."""


class InForce:
    """What engines decide by; safe for threads.

    A bundle that is unsigned, changed, unreadable or older than the one in force is refused; the last good one stays.
    """

    def __init__(self, folder: LabFolder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamp: Stamp | None = None
        self._signed: SignedBundle | None = None
        self._fault = "No policy bundle was published."

    @property
    def fault(self) -> str:
        """Why the newest files were refused."""
        return self._fault

    def current(self) -> SignedBundle | None:
        """The bundle in force; None as long as there was no good one."""
        with self._lock:
            stamp = _stamp(self._folder)
            if stamp != self._stamp:
                self._stamp = stamp
                self._reload()
            return self._signed

    def _reload(self) -> None:
        try:
            found = load(self._folder, at_least=self._signed.bundle.sequence if self._signed else 0)
        except BundleError as error:
            self._fault = error.message
            kept = self._signed.digest[:12] if self._signed else "nothing"
            log.warning("policy bundle refused, %s stays in force: %s", kept, error)
            return
        if self._signed is None or found.digest != self._signed.digest:
            self._signed = found
            log.info("policy bundle %d, %s, is in force", found.bundle.sequence, found.digest[:12])


def waivable_rules(in_force: InForce) -> dict[str, bool]:
    """Whether each rule of the bundle in force can be waived; empty without a bundle."""
    signed = in_force.current()
    return {rule.id: rule.waivable for rule in signed.bundle.rules} if signed else {}


def _stamp(folder: LabFolder) -> Stamp:
    found = []
    for name in ("bundle.json", "bundle.sig"):
        try:
            status = (folder.bundle / name).stat()
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)
