"""What can go wrong, and the HTTP status that it becomes."""

from __future__ import annotations

QUOTA_RETRY_S = 3600
"""A quota is for a day; real seconds say little about the business clock."""


class ServingError(Exception):
    """A request that can't be answered; the message goes to the caller."""

    status = 500
    retry_after_s = 0
    """When asking again may help, in whole seconds; 0 says nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(ServingError):
    """The request contradicts the protocol or the model's contract; the message names the tensor."""

    status = 400


class UnknownModelError(ServingError):
    """No such model, version or row of a table."""

    status = 404


class ForbiddenError(ServingError):
    """The caller lacks the role that this needs."""

    status = 403


class MethodNotAllowedError(ServingError):
    """The path exists, the method doesn't fit it."""

    status = 405


class RequestTimeoutError(ServingError):
    """The request's body took too long to arrive."""

    status = 408


class BodyTooLargeError(ServingError):
    """More bytes than the server takes."""

    status = 413


class UnsupportedEncodingError(ServingError):
    """A Content-Encoding that the server can't undo."""

    status = 415


class TooManyRequestsError(ServingError):
    """The model's queue is full, or too long for the request's deadline; nothing was computed.

    Args:
        message: what was found.
        retry_after_s: when the queue will have gone down, by what the model has answered lately; at least 1.
    """

    status = 429

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QuotaError(TooManyRequestsError):
    """The team has asked as often as it may for now; asking again at once is no use."""

    def __init__(self, message: str) -> None:
        super().__init__(message, QUOTA_RETRY_S)


class CallerGoneError(ServingError):
    """The caller hung up while the request was queued; nothing was computed, and nobody reads this answer."""

    status = 499


class DeadlineError(ServingError):
    """The request's time was up before its turn came; nothing was computed."""

    status = 504


class UnavailableError(ServingError):
    """The server can't answer now; another replica, or this one later, may."""

    status = 503

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigurationError(ValueError):
    """The environment doesn't say what the server needs to start."""


class FeedError(ValueError):
    """The release feed can't be read as one; the last good one stays in force."""


class RefusedReleaseError(Exception):
    """A release that must not be served.

    Args:
        reason: one of `unreadable`, `path`, `size`, `digest`, `key`, `signature`, `decision`, `model-unsigned`,
            `model-signature`, `model-key`, `external-data`, `operators`, `oversized`, `contract`, `inputs`,
            `device_memory`; a metric's label.
        message: what was found.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
