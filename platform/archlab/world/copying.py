"""What copies of a lab's files in the second region, and archives outside both, take of storage and of the line.

Stores count the bytes that they copied since they were made. What was charged for is kept beside them, so that nothing
is charged twice, and what was copied while the clock stood is charged with the next tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import ValidationError

from archlab.files import write_model
from archlab.recovery.copying.description import state
from archlab.settings import LabFolder
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.base import Spec, UtcTime
from archlab.spec.money import Basis, Resource, Usage, UsageKind
from archlab.spec.plan import Plan
from archlab.spec.regions import PartCopy
from archlab.spec.scenario import Scenario
from archlab.world.metering import Interval

KIB = 1024
ARCHIVE = "archive"
_CHARGED = "charged.json"


class Charged(Spec):
    """How many bytes were charged for, by unit: before a tick and with it."""

    tick: UtcTime
    before: dict[str, int]
    after: dict[str, int]


def kept(folder: LabFolder, plan: Plan) -> dict[str, PartCopy]:
    """Copies that are paid for, by unit: `<part>-<region>`, or `<part>-archive`."""
    found: dict[str, PartCopy] = {}
    for name in plan.regions.names if plan.regions else ():
        known = state(folder.regions / name)
        if plan.regions and name == plan.regions.primary:
            found |= {f"{copy.part.value}-{ARCHIVE}": copy for copy in known.archive if copy.files}
        elif plan.regions and name not in plan.regions.lost:
            found |= {f"{copy.part.value}-{name}": copy for copy in known.here if copy.files or copy.copied_bytes}
    return found


def charge(folder: LabFolder, tick: datetime, copies: Mapping[str, PartCopy]) -> dict[str, int]:
    """Bytes to charge for with a tick, by unit. A tick that is done again is charged as if for the first time."""
    known = _charged(folder)
    before = {} if known is None else known.before if known.tick == tick else known.after
    totals = {unit: copy.copied_bytes for unit, copy in copies.items()}
    if totals or known:
        after = {**before, **totals}
        write_model(folder.regions / _CHARGED, Charged(tick=tick, before=before, after=after))
    # a count that fell is that of a store which began anew
    return {
        unit: total - before.get(unit, 0) if total >= before.get(unit, 0) else total for unit, total in totals.items()
    }


def copied(
    interval: Interval, scenario: Scenario, copies: Mapping[str, PartCopy], moved: Mapping[str, int]
) -> list[Usage]:
    """What they take in a tick; recorded where it has a price.

    Args:
        interval: the tick.
        scenario: resolved; whether storage and transfer have a price.
        copies: what is kept, by unit.
        moved: bytes to charge for, by unit.
    """
    sizes = {unit: -(-copy.size_bytes // KIB) * interval.seconds for unit, copy in copies.items()}
    ways = {unit: -(-size // KIB) for unit, size in moved.items()}
    return [
        Usage(
            id=f"{interval.start:%Y-%m-%dT%H:%M:%SZ}/{what}/{unit}",
            start=interval.start,
            end=interval.end,
            team=PLATFORM_TEAM,
            model="",
            mode="storage",
            unit=unit,
            resource=resource,
            kind=UsageKind.CONSUMED,
            quantity=quantity,
            basis=Basis.METERED,
        )
        for what, resource, quantities in (("copy", Resource.STORAGE, sizes), ("copying", Resource.TRANSFER, ways))
        if scenario.prices.known(resource, interval.end)
        for unit, quantity in quantities.items()
        if quantity
    ]


def _charged(folder: LabFolder) -> Charged | None:
    try:
        return Charged.model_validate_json((folder.regions / _CHARGED).read_bytes())
    except (OSError, ValidationError):
        return None
