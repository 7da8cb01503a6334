"""A Postgres server that can be asked, wherever it runs."""

from __future__ import annotations

from typing import Any, Protocol

from archlab.errors import UnavailableError


class Asks(Protocol):
    """Whatever takes statements."""

    def ask(self, sql: str, *, timeout_s: float = 10.0, **values: Any) -> list[list[Any]]:
        """Rows that a statement gives; UnavailableError when the server does not answer, or refuses the statement."""


class Answering:
    """What every server's rows say, however it is reached."""

    __slots__ = ()

    @property
    def accepting(self: Asks) -> bool:
        """Whether it takes connections."""
        try:
            self.ask("SELECT 1", timeout_s=2)
        except UnavailableError:
            return False
        return True

    @property
    def is_primary(self: Asks) -> bool:
        """Whether it takes writes.

        Raises:
            UnavailableError: it does not answer.
        """
        return self.ask("SELECT pg_is_in_recovery()", timeout_s=2) == [[False]]


class Asked(Asks, Protocol):
    """All that replication needs of a server that is followed."""

    @property
    def name(self) -> str:
        """The region's."""

    @property
    def accepting(self) -> bool:
        """Whether it takes connections."""

    @property
    def is_primary(self) -> bool:
        """Whether it takes writes; UnavailableError when it does not answer."""

    def last_words(self) -> tuple[str, ...]:
        """The end of its log, newest last; empty when nobody can read it."""
