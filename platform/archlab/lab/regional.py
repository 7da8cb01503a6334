"""The runbooks of a lab in two regions: the other region takes over, a lost one comes back, one is left out.

A region that takes over is given what its posture did not hold beforehand: the lab is planned anew, with the lost
region left out, and the target carries it out. Every runbook can be killed and run again; it goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from archlab.errors import ArchlabError, LabStateError, NotFoundError, UnavailableError, UserError
from archlab.lab import region_journal
from archlab.lab.copies import copies
from archlab.lab.lab import Lab
from archlab.lab.lifecycle import replan
from archlab.recovery.runbook import Done, Step, carry_out, under_way
from archlab.spec.plan import Progress
from archlab.spec.regions import PartCopy, Regions, RegionState, Takeover
from archlab.targets import places

if TYPE_CHECKING:
    from archlab.targets.regional import RegionPair

FAILOVER, FAILBACK, ISOLATE = "failover to ", "failback to ", "isolate "
WRITES_S = 60.0
_PAUSE_S = 0.05


def regions(lab: Lab) -> Regions:
    """The lab's pair, with the learner's changes.

    Raises:
        UserError: it runs in one place.
    """
    found = lab.scenario.regions
    if found is None:
        raise UserError(f"Lab {lab.name} runs in one place: it has no regions.", "See: archlab scenarios list")
    return found


def state(lab: Lab) -> RegionState:
    """Where the pair stands."""
    return places.state(lab.folder) or RegionState(primary=regions(lab).names[0])


def pair(lab: Lab) -> RegionPair:
    """The regions of a lab that is up, as its last plan has them.

    Raises:
        UserError: it has none.
    """
    regions(lab)
    return lab.target.regions(lab.plan)


def failover(
    lab: Lab, progress: Progress, *, accept_data_loss: bool = False, by_itself: bool = False
) -> tuple[Done, ...]:
    """The other region takes over, whatever became of the first one; `by_itself` when nobody ordered it.

    Raises:
        ConflictError: acknowledged writes may be lost, and nobody accepted it; nothing is changed.
        LabStateError: the other region is lost itself, or another runbook was broken off.
    """
    path = _record(lab, FAILOVER)
    begun = under_way(path)
    taking = begun.removeprefix(FAILOVER) if begun.startswith(FAILOVER) else regions(lab).other(state(lab).primary)
    losing = regions(lab).other(taking)
    steps = (
        Step("assess", lambda: pair(lab).assess(accept_data_loss=accept_data_loss), changes=False),
        Step("fence", lambda: pair(lab).kill(losing, f"{taking} takes over from it")),
        Step("promote", lambda: pair(lab).promote(taking)),
        Step("take files", lambda: pair(lab).take_files(taking)),
        Step("scale up", lambda: _carry_out(lab, progress, f"{taking} runs everything; {losing} is left out")),
        Step("verify", lambda: " ".join((_answers(lab) + ".", *copies(lab).shortfall))),
    )
    return _run(lab, FAILOVER, taking, steps, progress, accepted_loss=accept_data_loss, by_itself=by_itself)


def failback(lab: Lab, progress: Progress) -> tuple[Done, ...]:
    """The first region is primary again, with the second one prepared as the postures say.

    Raises:
        LabStateError: nothing has to be put back, or another runbook was broken off.
        ConflictError: the second region lacks what the first one wrote last.
    """
    first, second = regions(lab).names
    now, path = state(lab), _record(lab, FAILBACK)
    if not under_way(path) and now.primary == first and not now.lost:
        raise LabStateError(f"{first} is primary and {second} is not lost: there is nothing to put back.")
    steps = [
        Step("mend", lambda: _mend(lab)),
        Step("rejoin", lambda: _rejoin(lab, first)),
        Step("stand by", lambda: _carry_out(lab, progress, "both regions run everything; the databases are paired")),
        Step("switch over", lambda: _switch_over(lab, first)),
        Step("settle", lambda: _carry_out(lab, progress, f"{first} runs everything, {second} stands by")),
        Step("verify", lambda: _answers(lab)),
    ]
    return _run(lab, FAILBACK, first, steps, progress)


def isolate(lab: Lab, region: str, progress: Progress) -> tuple[Done, ...]:
    """A region that is not primary is left out: nothing waits for it any more. `failback` takes it in again.

    Raises:
        UserError: it is primary.
    """
    _known(lab, region)
    if state(lab).primary == region:
        raise UserError(f"{region} is primary.", "Let the other region take over: archlab dr failover")

    def leave_out() -> str:
        now = state(lab)
        lost = tuple(dict.fromkeys((*now.lost, region)))
        places.remember(lab.folder, now.model_copy(update={"lost": lost, "synchronous": False}))
        return _carry_out(lab, progress, f"{now.primary} runs everything, and waits for nobody")

    steps = (
        Step("fence", lambda: pair(lab).kill(region, "it was left out")),
        Step("leave out", leave_out),
        Step("verify", lambda: _answers(lab)),
    )
    return _run(lab, ISOLATE, region, steps, progress)


def kill(lab: Lab, region: str) -> str:
    """Everything in a region dies at once and stays down, as when its power fails."""
    _known(lab, region)
    held = pair(lab)
    region_journal.note_fault(lab, "kill", region)
    return held.kill(region, "its power failed: archlab dr kill")


def cut(lab: Lab) -> None:
    """Cut the lines between the regions."""
    held = pair(lab)
    region_journal.note_fault(lab, "cut")
    held.cut(cut=True)


def copy_now(lab: Lab) -> tuple[PartCopy, ...]:
    """Parts that have a copy in the second region are copied there now, whatever their interval.

    Raises:
        LabStateError: the second region is lost.
        UnavailableError: its store does not answer, or the primary's does not.
    """
    held = pair(lab)
    if held.pair.other in state(lab).lost:
        raise LabStateError(f"{held.pair.other} is lost: nothing is copied there.", "See: archlab dr status")
    return held.copy_now(held.pair.other, [c.part for c in held.pair.copies if not c.archived])


def revive(lab: Lab, region: str, progress: Progress) -> str:
    """Power is back in a region that nobody has replaced meanwhile.

    Raises:
        LabStateError: the other region has taken over, or is about to: the data of this one is old.
    """
    _known(lab, region)
    _refuse_broken_off(lab)
    if region in state(lab).lost:
        raise LabStateError(f"{region} was given up meanwhile.", "Take it in again: archlab dr failback")
    pair(lab).revive(region)
    return _carry_out(lab, progress, f"{region} runs again")


def back_up(lab: Lab) -> str:
    """A base backup of the registry's database now, where the posture keeps backups; see `RegionPair.back_up`."""
    return pair(lab).back_up()


def takeovers(lab: Lab) -> list[Takeover]:
    """Runbooks that were carried out here, oldest first."""
    return [Takeover.model_validate_json(path.read_bytes()) for path in sorted(_done(lab).glob("*.json"))]


def _run(
    lab: Lab,
    kind: str,
    region: str,
    steps: Sequence[Step],
    progress: Progress,
    *,
    accepted_loss: bool = False,
    by_itself: bool = False,
) -> tuple[Done, ...]:
    _refuse_broken_off(lab, kind + region)
    began = datetime.now(UTC)
    done = carry_out(_record(lab, kind), kind + region, steps, progress)
    made = Takeover(
        runbook=kind.strip(),
        region=region,
        began=began,
        seconds={one.step: round(one.seconds, 3) for one in done},
        posture=lab.scenario.regions,
        ended=datetime.now(UTC),
        accepted_loss=accepted_loss,
        by_itself=by_itself,
    )
    region_journal.keep(_done(lab), began, made)
    return done


def _refuse_broken_off(lab: Lab, but: str = "") -> None:
    """Let nothing begin beside a runbook that is half done; its own continuation may.

    Raises:
        LabStateError: one is.
    """
    for kind in (FAILOVER, FAILBACK, ISOLATE):
        begun = under_way(_record(lab, kind))
        if begun and begun != but:
            ends = begun if kind == ISOLATE else kind.split()[0]
            raise LabStateError(f"The runbook {begun!r} was broken off.", f"End it first: archlab dr {ends}")


def _done(lab: Lab) -> Path:
    return places.root(lab.folder) / places.JOURNALS[0]


def _record(lab: Lab, kind: str) -> Path:
    return places.root(lab.folder) / f"{kind.split()[0]}.runbook"


def _known(lab: Lab, region: str) -> None:
    names = regions(lab).names
    if region not in names:
        raise NotFoundError(f"There is no region {region!r}.", f"Regions: {', '.join(names)}.")


def _carry_out(lab: Lab, progress: Progress, said: str) -> str:
    replan(lab)
    lab.target.apply(lab.plan, progress)
    return said


def _mend(lab: Lab) -> str:
    pair(lab).cut(cut=False)
    return "lines as usual"


def _rejoin(lab: Lab, first: str) -> str:
    said = [pair(lab).rejoin(region) for region in state(lab).lost]
    now = state(lab)
    if now.primary != first:
        # what is about to take over in order is given everything before it does
        places.remember(lab.folder, now.model_copy(update={"raised": first}))
    return "; ".join(said) or "no region is lost"


def _switch_over(lab: Lab, first: str) -> str:
    held = pair(lab)
    if held.pair.primary == first:
        return f"{first} is primary already"
    return held.hand_over(first)


def _answers(lab: Lab) -> str:
    """Until the registry answers through the gateway, which only a primary's does."""

    def asked() -> bool:
        try:
            lab.registry().get("/registered-models/search?max_results=1")
        except ArchlabError:
            return False
        return True

    _wait(asked, "The registry does not answer through the gateway")
    lab.control.post("/releases/reconcile", {})
    return "the registry answers through the gateway"


def _wait(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + WRITES_S
    while not condition():
        if time.monotonic() > deadline:
            raise UnavailableError(f"{failure} after {WRITES_S:g} s.", "See: archlab dr status, archlab logs registry")
        time.sleep(_PAUSE_S)
