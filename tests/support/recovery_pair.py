"""Two real Postgres servers with a link in each direction between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.recovery import fencing, link, replication, server
from archlab.recovery.programs import Programs, postgres_programs
from archlab.recovery.server import Server, Upstream
from archlab.recovery.shaping import Shape

EAST, WEST = "east", "west"


def programs_or_skip() -> Programs:
    """Postgres' programs; a test that needs them is left out where there are none."""
    try:
        return postgres_programs()
    except UserError as error:
        pytest.skip(error.message)


@dataclass
class Pair:
    """East is primary and west follows it, each through a link of its own direction."""

    east: Server
    west: Server
    links: dict[str, Upstream]
    """By who follows: the port at which it finds the other."""
    controls: dict[str, Path]

    def shape(self, shape: Shape, *, drop: bool = False) -> None:
        for control in self.controls.values():
            link.tell(control, link.Order(shape=shape, drop=drop))

    def synchronous(self, on: bool) -> None:
        server.configure(self.east, synchronous=(WEST,) if on else ())
        server.reload(self.east)
        replication.wait_streaming(self.east, [WEST], synchronous=on)

    def write(self, count: int, first: int = 0) -> None:
        with self.east.connection() as connection:
            for number in range(first, first + count):
                connection.run("INSERT INTO written VALUES (:number)", number=number)

    def stop(self) -> None:
        fencing.kill([pid for s in (self.east, self.west) if (pid := s.pid) is not None])
