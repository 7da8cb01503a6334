"""The one hierarchy of errors, and how each becomes an exit code or an HTTP status.

An error says what happened, what was found, and the next step. Only `archlab.cli` and the HTTP edges catch it.
"""

from __future__ import annotations


class ArchlabError(Exception):
    """Something went wrong on our side.

    Args:
        message: what happened and what was found, one or two sentences.
        remedy: the next step for the reader, as a sentence or a command; may be empty.
    """

    exit_code = 3
    status = 500

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UserError(ArchlabError):
    """The request can't be carried out as it stands; the reader can change it."""

    exit_code = 1
    status = 400


class NotFoundError(UserError):
    """A name that nothing answers to."""

    status = 404


class ConflictError(UserError):
    """The thing exists already, or someone else holds it."""

    status = 409


class SpecError(UserError):
    """A file that can't be read as what it should be; the message names file, place and fault."""


class LabStateError(UserError):
    """The lab is not in the state that the command needs (down, half up, of another seed)."""

    status = 409


class PlacementError(UserError):
    """The planner has no device for a model; the message says why."""

    status = 409


class RefusedError(UserError):
    """A policy decision said no; the message carries every reason."""

    status = 403


class UsageError(UserError):
    """The command line is wrong."""

    exit_code = 2


class TargetError(ArchlabError):
    """A unit could not be brought to its desired state; carries its last log lines.

    Args:
        unit: the name of the unit.
        log_tail: its last log lines, newest last.
    """

    status = 503

    def __init__(self, message: str, remedy: str = "", *, unit: str = "", log_tail: tuple[str, ...] = ()) -> None:
        super().__init__(message, remedy)
        self.unit = unit
        self.log_tail = log_tail


class UnavailableError(ArchlabError):
    """A part of the platform does not answer."""

    status = 503
