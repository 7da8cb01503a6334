"""What a request asks for, and by when."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from .errors import BadRequestError
from .protocol.messages import InferRequest


class Query(NamedTuple):
    """What a request says beside its tensors."""

    model: str
    version: str = ""
    """Empty asks for the champion."""
    request_id: str = ""
    """Used when the request itself brings no id."""
    shadow: bool = False
    """A mirrored request: nobody waits for the answer."""
    min_feed: int = -1
    min_snapshot: int = -1
    deadline: float = 0.0
    """When the caller stops waiting, by the monotonic clock in seconds; 0 is never."""
    gone: Callable[[], bool] | None = None
    """Whether the caller has hung up; asked before queued work begins."""


def deadline(query: Query, request: InferRequest) -> float:
    """When the caller stops waiting: the earlier of what the transport says and the request's parameter `timeout`.

    `timeout` is in microseconds, as in Triton's schedule policy extension; 0 is none.

    Raises:
        BadRequestError: `timeout` is no whole number.
    """
    timeout_us = request.parameters.get("timeout")
    if timeout_us is None or timeout_us == 0:
        return query.deadline
    if type(timeout_us) is not int or timeout_us < 0:
        raise BadRequestError(f"parameter 'timeout' is {timeout_us!r}; whole microseconds are needed")
    until = time.monotonic() + timeout_us / 1e6
    return min(until, query.deadline) if query.deadline else until
