"""How many requests of a team are answered at once, so that one team's rush leaves the others their turn.

The gateway names the team in a header that callers can't set. A team that has a share takes a place for each request
that is read until the turn of the event loop ends in which it was answered: requests that are read in one turn were
under way together, however short each is. Beyond its places some wait, in the order that they came; the rest get 429.
Teams without a share are not held up here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from prometheus_client import Counter

from .errors import QuotaError, TooManyRequestsError
from .metrics import Metrics

TEAM = b"x-archlab-team"
WAITING_PER_PLACE = 4
"""Requests that may wait for each place: the time of a short rush, not of a long one."""
RETRY_AFTER_S = 1


class Share:
    """The places of one team; everything here happens on the event loop."""

    __slots__ = ("_closed", "_leaving", "_places", "_refusals", "_taken", "_team", "_waiting")

    def __init__(self, team: str, refusals: Counter) -> None:
        self._team = team
        self._places = 0  # no limit
        self._closed = ""
        self._taken = 0
        self._leaving = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._refusals = refusals

    def set(self, places: int, closed: str = "") -> None:
        """From now on so many, without a limit for 0; who waits goes on if there is room now.

        While `closed` says why, nobody new is let in.
        """
        self._places, self._closed = places, closed
        self._go_on()

    def take(self) -> bool:
        """Takes a place at once, if there is one and nobody waits for it.

        Raises:
            QuotaError: the team's quota is used up.
            TooManyRequestsError: there is none, and as many wait as may.
        """
        if self._closed:
            raise QuotaError(self._closed)
        if self._free and not self._waiting:
            self._taken += 1
            return True
        if len(self._waiting) >= WAITING_PER_PLACE * self._places:
            self._refusals.labels(self._team).inc()
            raise TooManyRequestsError(
                f"team {self._team} has {self._places} of this server's places; all are taken, and"
                f" {len(self._waiting)} of its requests wait",
                RETRY_AFTER_S,
            )
        return False

    async def enter(self) -> None:
        """Takes a place, in turn.

        Raises:
            TooManyRequestsError: as `take`.
        """
        if self.take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            elif turn in self._waiting:
                self._waiting.remove(turn)  # it would count as one that waits
            raise

    def give_back(self) -> None:
        """A place that was taken for nothing."""
        self._taken -= 1
        self._go_on()

    def leave(self) -> None:
        """The request is answered; its place is free at the end of this turn of the event loop."""
        if not self._leaving:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._leaving += 1

    @property
    def _free(self) -> bool:
        return not self._places or self._taken < self._places

    def _end_turn(self) -> None:
        self._taken -= self._leaving
        self._leaving = 0
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._free:
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)


class Shares:
    """The shares of a server's pool, by team; none at first."""

    def __init__(self, metrics: Metrics) -> None:
        self._refusals = metrics.share_refusals
        self._places = metrics.share_places
        self._held: dict[bytes, Share] = {}
        """By the header's value. A share that was lifted stays until nobody is in it; it is found no more."""

    def set(self, places: Mapping[str, int], closed: Mapping[str, str] | None = None) -> None:
        """The shares from now on, and teams whose callers are refused whatever is free, with the reason."""
        closed = closed or {}
        wanted = {team.encode(): places.get(team, 0) for team in (*places, *closed)}
        for team in self._held.keys() - wanted.keys():
            self._held.pop(team).set(0)
        for team, number in wanted.items():
            share = self._held.setdefault(team, Share(team.decode(), self._refusals))
            share.set(number, closed.get(team.decode(), ""))
        self._places.clear()
        for name, number in places.items():
            self._places.labels(name).set(number)

    def __len__(self) -> int:
        """How many teams have to keep to one."""
        return len(self._held)

    def of(self, team: bytes | None) -> Share | None:
        """The share that a request has to keep to; None where there is none."""
        return self._held.get(team) if team is not None else None
