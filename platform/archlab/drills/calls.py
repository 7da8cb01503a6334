"""What a region's agent is asked, and what it answers: JSON in and out, errors included."""

from __future__ import annotations

from typing import Any, NoReturn

from archlab.errors import (
    ArchlabError,
    ConflictError,
    LabStateError,
    NotFoundError,
    TargetError,
    UnavailableError,
    UserError,
)
from archlab.recovery.vault import DamagedError
from archlab.spec.base import Spec

TOKEN = "X-Archlab-Token"  # noqa: S105 the header's name
PATH = "/do"
KINDS: dict[str, type[ArchlabError]] = {
    kind.__name__: kind
    for kind in (ConflictError, DamagedError, LabStateError, NotFoundError, TargetError, UnavailableError, UserError)
}


class Call(Spec):
    """Something that a region is to do."""

    what: str
    arguments: dict[str, Any] = {}


class Failure(Spec):
    """Why it was not done."""

    kind: str
    message: str
    remedy: str
    log_tail: tuple[str, ...]

    @classmethod
    def of(cls, error: ArchlabError) -> Failure:
        """An error as it is told."""
        words = tuple(getattr(error, "log_tail", ()))
        return cls(kind=type(error).__name__, message=error.message, remedy=error.remedy, log_tail=words)

    def rethrow(self) -> NoReturn:
        """The same error here; one of a kind that isn't known becomes an ArchlabError."""
        if self.kind == TargetError.__name__:
            raise TargetError(self.message, self.remedy, log_tail=self.log_tail)
        raise KINDS.get(self.kind, ArchlabError)(self.message, self.remedy)


class Reply(Spec):
    """What came of it."""

    value: Any = None
    failure: Failure | None = None

    def unpack(self) -> Any:
        """The value.

        Raises:
            ArchlabError: of the kind that the agent met.
        """
        if self.failure:
            self.failure.rethrow()
        return self.value
