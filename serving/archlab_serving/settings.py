"""What a server is told by its environment; the variables are listed in docs/interfaces.md."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigurationError

PREFIX = "ARCHLAB_SERVING_"
_NUMBERS = (
    *("threads", "workers", "max_body_bytes", "body_timeout_s", "max_rows", "max_concurrency"),
    *("max_model_bytes", "memory_limit_bytes", "load_timeout_s", "catch_up_s"),
    *("max_batch_rows", "max_queue_rows", "queue_timeout_s"),
)
MAX_ROWS = 4096
"""Rows of one request, where nothing else is set."""
_LOADING = ("eager", "lazy")
_SWITCH = ("on", "off")


@dataclass(frozen=True, slots=True)
class Settings:
    """Who the server is, where its files are, and its limits."""

    unit: str
    replica: str
    pool: str
    """Only releases of this pool are loaded."""
    feed: Path
    public_key: Path
    """What releases are signed with."""
    trusted_keys: Path
    """Whose signatures of models count."""
    snapshots: Path | None = None
    prediction_log: Path | None = None
    devices: Path | None = None
    """File with the replica's devices and what is on them."""
    grpc: str = ""
    """Where gRPC is spoken too: `unix:/path` or `host:port`; empty is nowhere."""
    region: str = ""
    """The server's, where files are copied between regions; empty elsewhere."""
    threads: int = 1
    """ONNX Runtime's intra-op threads."""
    workers: int = 2
    """Threads for inferences that would hold the event loop too long."""
    max_body_bytes: int = 8 << 20
    body_timeout_s: float = 10.0
    """Longest that a request's body may take to arrive; then it gets 408."""
    max_rows: int = MAX_ROWS
    max_concurrency: int = 256
    """Requests being read or answered at once; more get 503."""
    poll_s: float = 0.1
    """How often feed and snapshot manifest are looked at."""
    inline_ms: float = 1.0
    """Longest inference that runs on the event loop's own thread, by the measurement made while loading."""
    batching: str = "on"
    """`on` computes requests together that wait for one model, where its measurement says that this saves time."""
    max_batch_rows: int = 128
    """Most rows that are computed together; a larger request is computed alone."""
    max_queue_rows: int = 4096
    """Most rows that wait for one model; more get 429."""
    queue_timeout_s: float = 10.0
    """Longest that a request waits for its turn, whatever its own deadline; then it gets 504."""
    loading: str = "eager"
    """`eager` loads what the feed names when it is read, `lazy` each file at its model's first request."""
    pinned: frozenset[str] = frozenset()
    """Models that are loaded at the start and never evicted."""
    max_model_bytes: int = 1 << 30
    """Largest model file that is read."""
    memory_limit_bytes: int = 0
    """How much memory all models may take together; 0 sets no limit."""
    catch_up_s: float = 0.0
    """Longest that a request waits for files that a sidecar is bringing; 0 where they are local."""
    load_timeout_s: float = 10.0
    """Longest that a request waits for its model to be loaded."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings that `ARCHLAB_SERVING_*` name.

        Raises:
            ConfigurationError: a variable is missing or not a number where one is needed.
        """
        return cls(
            unit=environment.get(f"{PREFIX}UNIT", "server"),
            replica=environment.get(f"{PREFIX}REPLICA", "0"),
            pool=_required(environment, "POOL"),
            feed=Path(_required(environment, "FEED")),
            public_key=Path(_required(environment, "PUBLIC_KEY")),
            trusted_keys=Path(_required(environment, "TRUSTED_KEYS")),
            snapshots=_path(environment, "SNAPSHOTS"),
            prediction_log=_path(environment, "PREDICTION_LOG"),
            devices=_path(environment, "DEVICES"),
            grpc=environment.get(f"{PREFIX}GRPC", ""),
            region=environment.get(f"{PREFIX}REGION", ""),
            loading=_choice(environment, "LOADING", _LOADING),
            batching=_choice(environment, "BATCHING", _SWITCH),
            pinned=frozenset(environment.get(f"{PREFIX}PINNED", "").replace(",", " ").split()),
            **{
                name: _positive(environment, name.upper())
                for name in _NUMBERS
                if environment.get(PREFIX + name.upper())
            },
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(PREFIX + name, "")
    if not value:
        raise ConfigurationError(f"{PREFIX}{name} is not set; docs/interfaces.md, section Servers, says what it names")
    return value


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    value = environment.get(PREFIX + name, "")
    return Path(value) if value else None


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = environment.get(PREFIX + name) or choices[0]
    if value not in choices:
        raise ConfigurationError(f"{PREFIX}{name} is {value!r}; one of {', '.join(choices)} is needed")
    return value


def _positive(environment: Mapping[str, str], name: str) -> int:
    text = environment[PREFIX + name]
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ConfigurationError(f"{PREFIX}{name} is {text!r}; a whole number from 1 is needed")
    return value
