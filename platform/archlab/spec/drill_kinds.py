"""The words and usual figures of drills: all that the command line needs to explain itself, without pydantic."""

from __future__ import annotations

from enum import StrEnum

LATENCY_MS = 20.0
CHECK_EVERY_MS = 200
FAILURES_TO_DETECT = 3
PATIENCE_S = 300
WITHIN_S = 60
BACKUPS_KEPT = 7


class Replication(StrEnum):
    """When a write counts: on one region's disk, or on both."""

    SYNCHRONOUS = "sync"
    ASYNCHRONOUS = "async"


class Recovery(StrEnum):
    """Who brings a lost region's work to the other one."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    """Whoever is at the drill: `archlab drill failover`."""
    NONE = "none"
    """Nobody: what a drill looks like that goes red."""


class Kind(StrEnum):
    """What the probe tries."""

    WRITE = "write"
    READ = "read"
    PREDICT = "predict"
    """Ask a model, and compare the answer."""
    PROMOTE = "promote"
    """Make a version champion: the gate decides each time."""


class Where(StrEnum):
    """Where the regions of a drill are."""

    LOCAL = "local"
    """Processes of one machine."""
    KUBE = "kube"
    """Pods of a cluster."""


class Verdict(StrEnum):
    """How a drill ended."""

    GREEN = "green"
    RED = "red"
    VOID = "void"
    """It says nothing: the control run without a fault was not clean, or the drill was broken off."""
