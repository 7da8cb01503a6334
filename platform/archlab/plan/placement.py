"""Which replica goes on which device, and why not: a pure function of needs, inventory, constraints and what is held.

The rule, in order:

1. What is placed stays where it is while that is still allowed. So a new device or a new wish moves nobody.
2. The others by tier, then by memory (largest first), then by name; all replicas of a model or none.
3. Each replica takes the tightest place that is allowed (best fit: least memory left over), by name among equals.

Allowed means: the class asked for; enough memory; one replica per MIG slice; exclusive holders alone on their device;
teams that are kept apart not on one device, unless in slices of their own (hardware isolates those); each replica of a
model on another card, since a card fails as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from archlab.plan.inventory import inventory
from archlab.spec.devices import (
    ANY,
    MIB,
    OFF,
    UNKNOWN_GAIN,
    Code,
    Device,
    DeviceBasis,
    DevicePlacement,
    DevicePlan,
    Explanation,
    Gain,
    Outcome,
)
from archlab.spec.scenario import Mode, Scenario

Held = tuple[DevicePlacement, ...]


@dataclass(frozen=True, slots=True)
class Need:
    """What one model asks for."""

    model: str
    team: str
    unit: str
    replicas: int
    memory_bytes: int
    wanted: str = ANY
    tier: int = 1
    exclusive: bool = False
    online: bool = True
    gain: Gain = UNKNOWN_GAIN


@dataclass(frozen=True, slots=True)
class Facts:
    """What the planner is told beside the scenario: all of it can change between two plans."""

    inventory: tuple[Device, ...]
    gains: Mapping[str, Gain] = field(default_factory=dict)
    held: Held = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a replica may go: a MIG slice, or a device that is not split."""

    device: Device
    slice: str
    profile: str
    memory_bytes: int

    @property
    def name(self) -> str:
        """The slice's name, or the device's."""
        return self.slice or self.device.name


class _Board:
    """The placements so far, and what they leave."""

    def __init__(self, devices: Iterable[Device], apart: Sequence[frozenset[str]]) -> None:
        self.places = sorted((place for device in devices for place in places(device)), key=lambda p: p.name)
        self.placed: list[DevicePlacement] = []
        self._apart = apart

    def free(self, place: Place) -> int:
        """Bytes left; a slice that is taken has none."""
        on = self._on(place)
        if place.slice and on:
            return 0
        return place.memory_bytes - sum(p.memory_bytes for p in on)

    def obstacle(self, need: Need, place: Place) -> Code | None:
        """What keeps a replica from a place; None when nothing does."""
        on = [p for p in self._on(place) if p.model != need.model]
        if need.wanted not in (ANY, place.device.device_class, place.profile):
            return Code.CLASS
        if place.slice and (on or need.memory_bytes > place.memory_bytes):
            return Code.SLICES
        if any(p.model == need.model and p.device == place.device.name for p in self.placed):
            return Code.ANTI_AFFINITY
        if on and (need.exclusive or any(p.exclusive for p in on)):
            return Code.EXCLUSIVE
        if any({need.team, p.team} <= group and need.team != p.team for group in self._apart for p in on):
            return Code.APART
        return Code.MEMORY if need.memory_bytes > self.free(place) else None

    def _on(self, place: Place) -> list[DevicePlacement]:
        return [p for p in self.placed if (p.device, p.slice) == (place.device.name, place.slice)]


def places(device: Device) -> list[Place]:
    """Where replicas can go on a device."""
    if device.slices:
        return [Place(device, s.name, s.profile, s.memory_bytes) for s in device.slices]
    return [Place(device, "", "", device.memory_bytes)]


def plan_devices(scenario: Scenario, facts: Facts | None = None) -> DevicePlan | None:
    """The device part of a plan; None for a scenario that declares no devices.

    Args:
        scenario: with the learner's overrides.
        facts: inventory, gains and what is held. Without them every device is emulated and nothing is measured.
    """
    if not scenario.devices:
        return None
    known = facts or Facts(emulated(scenario))
    needs = [
        Need(
            model=m.name,
            team=m.team,
            unit=m.pool,
            replicas=m.replicas,
            memory_bytes=m.device.memory_mib * MIB,
            wanted=m.device.wanted,
            tier=m.device.tier,
            exclusive=m.device.exclusive,
            online=m.mode is Mode.ONLINE,
            gain=known.gains.get(m.name, UNKNOWN_GAIN),
        )
        for m in scenario.models
    ]
    return place(needs, known.inventory, [frozenset(group) for group in scenario.device_apart], known.held)


def emulated(scenario: Scenario) -> tuple[Device, ...]:
    """The declared devices, none of them there."""
    return inventory(scenario.devices, ())


def place(
    needs: Sequence[Need], devices: Sequence[Device], apart: Sequence[frozenset[str]] = (), held: Held = ()
) -> DevicePlan:
    """Placements, and one explanation per model in the order of `needs`.

    Args:
        needs: every model, whether it asks for a device or not.
        devices: what there is.
        apart: groups of teams of which no two share a device.
        held: placements of the last plan.
    """
    board = _Board(devices, apart)
    explained = {need.model: said for need in needs if (said := _stays_on_cpu(need))}
    asking = sorted((n for n in needs if n.model not in explained), key=lambda n: (n.tier, -n.memory_bytes, n.model))
    for need in asking:
        _keep(board, need, held)
    for need in asking:
        explained[need.model] = _settle(board, need)
    order = {need.model: index for index, need in enumerate(needs)}
    return DevicePlan(
        inventory=tuple(devices),
        placements=tuple(sorted(board.placed, key=lambda p: (order[p.model], p.replica))),
        explanations=tuple(explained[need.model] for need in needs),
        gains={need.model: need.gain for need in needs if need.gain.basis != "unknown"},
    )


def _stays_on_cpu(need: Need) -> Explanation | None:
    """For models that no device is looked for."""
    if need.wanted == OFF:
        hint = "it would gain" if need.gain.gains else "it would not gain"
        because = f"; {hint}, because {need.gain.because}" if need.gain.basis != "unknown" else ""
        return _said(need, Outcome.CPU, Code.NOT_ASKED, f"runs on the CPU: no device was asked for{because}.")
    if need.gain.basis == "unknown":
        return _said(need, Outcome.REFUSED, Code.UNMEASURED, f"stays on the CPU: {need.gain.because}.")
    if not need.gain.gains:
        text = f"stays on the CPU: it gains nothing from a device, because {need.gain.because}."
        return _said(need, Outcome.REFUSED, Code.NO_GAIN, text)
    if not need.online:
        text = "holds no device: its answers come from a table. It asks for one again when it is online."
        return _said(need, Outcome.CPU, Code.NOT_ONLINE, text)
    return None


def _keep(board: _Board, need: Need, held: Held) -> None:
    """Put back what the last plan had, where that is still allowed."""
    by_name = {(p.device.name, p.slice): p for p in board.places}
    for before in sorted((h for h in held if h.model == need.model), key=lambda h: h.replica):
        found = by_name.get((before.device, before.slice))
        if found and before.replica < need.replicas and board.obstacle(need, found) is None:
            board.placed.append(_placement(need, before.replica, found))


def _settle(board: _Board, need: Need) -> Explanation:
    """Place the replicas that have no place yet; all of the model's, or none."""
    kept = [p for p in board.placed if p.model == need.model]
    missing = sorted(set(range(need.replicas)) - {p.replica for p in kept})
    for replica in missing:
        found = _best(board, need)
        if found is None:
            refusal = _refusal(board, need)
            board.placed = [p for p in board.placed if p.model != need.model]
            return refusal
        board.placed.append(_placement(need, replica, found))
    return _said(need, Outcome.PLACED, Code.PLACED, _where(board, need, stayed=not missing))


def _best(board: _Board, need: Need) -> Place | None:
    allowed = [p for p in board.places if board.obstacle(need, p) is None]
    return min(allowed, key=lambda p: (board.free(p) - need.memory_bytes, p.name), default=None)


def _placement(need: Need, replica: int, found: Place) -> DevicePlacement:
    return DevicePlacement(
        model=need.model,
        team=need.team,
        unit=need.unit,
        replica=replica,
        device=found.device.name,
        slice=found.slice,
        memory_bytes=need.memory_bytes,
        exclusive=need.exclusive,
        basis=found.device.basis,
    )


def _where(board: _Board, need: Need, *, stayed: bool) -> str:
    by_name = {(p.device.name, p.slice): p for p in board.places}
    spots = []
    for placed in sorted((p for p in board.placed if p.model == need.model), key=lambda p: p.replica):
        found = by_name[placed.device, placed.slice]
        left = "" if found.slice else f", {_mib(board.free(found))} left"
        spots.append(f"replica {placed.replica} on {found.name} ({placed.basis} {found.device.product}{left})")
    rule = "where it was before" if stayed else "the tightest fit"
    emulated_too = any(p.model == need.model and p.basis is DeviceBasis.EMULATED for p in board.placed)
    note = " Emulated: it costs and counts, and answers no faster." if emulated_too else ""
    return f"{', '.join(spots)}: {rule}, {_mib(need.memory_bytes)} each; {need.gain.because}.{note}"


def _refusal(board: _Board, need: Need) -> Explanation:
    """The obstacle of each place, the one that most places share first; the code is the first one's."""
    met: dict[Code, list[Place]] = {}
    for found in board.places:
        if obstacle := board.obstacle(need, found):
            met.setdefault(obstacle, []).append(found)
    ranked = sorted(met, key=lambda c: (c is Code.CLASS, -len(met[c]), c.value))
    code = ranked[0] if ranked else Code.CLASS
    parts = [_obstacle(board, need, c, met[c]) for c in ranked if c is not Code.CLASS or len(ranked) == 1]
    count = sum(p.model == need.model for p in board.placed)
    which = f"{count} of its {need.replicas} replicas find a place, for the next " if need.replicas > 1 else ""
    return _said(need, Outcome.REFUSED, code, f"stays on the CPU: {which}{'; '.join(parts) or 'there is no device'}.")


def _obstacle(board: _Board, need: Need, code: Code, where: list[Place]) -> str:
    names = ", ".join(p.name for p in where)
    on = {p.model: p.team for p in board.placed if any((p.device, p.slice) == (w.device.name, w.slice) for w in where)}
    match code:
        case Code.CLASS:
            offer = sorted({p.device.device_class for p in where} | {p.profile for p in where if p.profile})
            return f"no device is a {need.wanted}; there are {', '.join(offer)}"
        case Code.MEMORY:
            largest = max(board.free(p) for p in where)
            return f"it needs {_mib(need.memory_bytes)} and the largest hole on {names} is {_mib(largest)}"
        case Code.SLICES:
            empty = [p for p in where if board.free(p)]
            if empty:
                largest = max(p.memory_bytes for p in empty)
                return f"it needs {_mib(need.memory_bytes)} and the largest free slice has {_mib(largest)}"
            return f"every slice is taken ({names})"
        case Code.ANTI_AFFINITY:
            cards = ", ".join(sorted({p.device.name for p in where}))
            return f"another replica of it is on {cards}, and replicas of one model never share a card"
        case Code.EXCLUSIVE:
            return f"{names} would have to be for one model alone, and {', '.join(sorted(on))} is there"
        case _:
            teams = ", ".join(sorted(set(on.values())))
            return f"team {need.team} must not share a device with the team on {names} ({teams})"


def _said(need: Need, outcome: Outcome, code: Code, text: str) -> Explanation:
    return Explanation(model=need.model, outcome=outcome, code=code, text=f"{need.model} {text}")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes // MIB:,} MiB"
