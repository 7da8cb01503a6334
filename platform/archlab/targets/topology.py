"""`conf/topology.json`: which replicas a lab has, and how each is asked for its health."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from archlab.files import write_model
from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.plan import Role
from archlab.targets.commands import Health, Program


class Member(Spec):
    """One replica."""

    name: str
    unit: str
    index: int
    role: Role
    pool: str
    team: str
    region: str = ""
    socket: Path
    health: tuple[str, ...]


class Topology(Spec):
    """All replicas of the plan that was applied last."""

    format: Literal["archlab/topology/v1"] = "archlab/topology/v1"
    members: tuple[Member, ...] = ()

    @classmethod
    def of(cls, programs: Sequence[Program]) -> Topology:
        """The replicas of a plan."""
        return cls(members=tuple(_member(p) for p in programs))

    def write(self, folder: LabFolder) -> None:
        """Replace the file."""
        write_model(_path(folder), self)

    @classmethod
    def read(cls, folder: LabFolder) -> Topology:
        """As written last; empty when there is none that can be read."""
        try:
            return cls.model_validate_json(_path(folder).read_bytes())
        except (OSError, ValidationError):
            return cls()


def health(member: Member) -> Health:
    """How to ask a replica."""
    return Health(member.socket, member.health)


def _path(folder: LabFolder) -> Path:
    return folder.conf / "topology.json"


def _member(program: Program) -> Member:
    unit, asked = program.unit, program.command.health
    return Member(
        name=program.name,
        unit=unit.name,
        index=program.index,
        role=unit.role,
        pool=unit.pool,
        team=unit.team,
        region=unit.region,
        socket=asked.socket,
        health=asked.paths,
    )
