"""A unit of the control plane is really stopped for a while: what goes on without it, and what does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from archlab.errors import ArchlabError, LabStateError, UserError
from archlab.files import write_model
from archlab.lab.asking import ask, example
from archlab.lab.clock import advance
from archlab.lab.lab import Lab
from archlab.lab.promotion import CHAMPION, champion
from archlab.lab.work import clock
from archlab.spec.outages import Outage, Probe
from archlab.spec.plan import Progress, Role
from archlab.spec.scenario import Mode, Model

UNITS = (Role.CONTROL.value, Role.REGISTRY.value)
"""What may be stopped: servers and the gateway are the data plane, which callers would miss."""

ANSWERS, FEW = 20, 3
"""How often each thing is tried."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One thing to try: its key, what it is in words, how often, and how."""

    key: str
    what: str
    times: int
    act: Callable[[], object]


def outage(lab: Lab, unit: str, progress: Progress) -> Outage:
    """Stop the unit, try everything, bring it back, keep what was seen in `outages/`.

    When this is killed on the way, the next `archlab up` brings the unit back.

    Raises:
        UserError: it is none of `UNITS`.
        LabStateError: something fails before anything was stopped, so that nothing could be learned.
    """
    if unit not in UNITS:
        raise UserError(f"{unit!r} can't be stopped here.", f"Stop one of: {', '.join(UNITS)}.")
    if lab.declared.regions:
        raise UserError(f"Lab {lab.name} has two regions; what stops there is a region.", "See: archlab dr --help")
    tries, business_time = tuple(_tries(lab, progress)), clock(lab)
    for one in tries:
        _must_work(one, progress)
    began = datetime.now(UTC)
    progress("stop", unit)
    lab.target.withdraw(f"{unit}-0")
    try:
        probes = tuple(_probe(one, progress) for one in tries)
    finally:
        progress("start", unit)
        lab.target.apply(lab.plan, progress)
    found = Outage(unit=unit, began=began, ended=datetime.now(UTC), business_time=business_time, probes=probes)
    lab.folder.outages.mkdir(mode=0o700, exist_ok=True)
    write_model(lab.folder.outages / f"{began:%Y%m%dT%H%M%S%f}.json", found)
    return found


def _tries(lab: Lab, progress: Progress) -> Iterator[_Try]:
    """Everything that is tried; what has to be known is asked while all is up."""
    online, batch = _first(lab, Mode.ONLINE), _first(lab, Mode.BATCH)
    held = champion(lab, online.name)
    if held is None:
        raise LabStateError(f"{online.name} has no champion.", f"Promote one: archlab promote {online.name} 1")
    for key, model in (("answers-computed", online), ("answers-looked-up", batch)):
        body = example(lab, model.name, [])
        yield _Try(key, f"{model.name} asked through the gateway", ANSWERS, _asking(lab, model.name, body))
    alias = {"name": online.name, "alias": CHAMPION, "version": held}
    yield _Try(
        "promotion",
        f"alias {CHAMPION} of {online.name} set to version {held} through the gate",
        FEW,
        lambda: lab.registry().post("/registered-models/alias", alias),
    )
    yield _Try(
        "registry-read",
        f"{online.name} read from the registry",
        FEW,
        lambda: lab.registry().get(f"/registered-models/get?name={online.name}"),
    )
    yield _Try("decision-log", "the log of decisions read", FEW, lambda: lab.control.get("/decisions"))
    tick = lab.declared.tick
    yield _Try("clock", "the business clock moved on by one tick", 1, lambda: advance(lab, tick, progress))


def _first(lab: Lab, mode: Mode) -> Model:
    found = next((m for m in lab.scenario.models if m.mode is mode), None)
    if found is None:
        raise LabStateError(f"No model of lab {lab.name} is in mode {mode.value}.", "Set one: archlab set MODEL mode")
    return found


def _asking(lab: Lab, model: str, body: dict[str, Any]) -> Callable[[], object]:
    return lambda: ask(lab, model, body)


def _must_work(one: _Try, progress: Progress) -> None:
    """The control: what fails with everything up says nothing about the outage."""
    progress("before", one.what)
    try:
        one.act()
    except ArchlabError as error:
        raise LabStateError(
            f"Before anything was stopped this failed already: {one.what} ({error.message})", "See: archlab status"
        ) from None


def _probe(one: _Try, progress: Progress) -> Probe:
    progress("during", one.what)
    succeeded, said = 0, "answered"
    for _ in range(one.times):
        try:
            one.act()
            succeeded += 1
        except ArchlabError as error:
            said = f"{type(error).__name__}: {error.message}"[:300]
    return Probe(key=one.key, tried=one.times, succeeded=succeeded, detail=f"{one.what}: {said}")
