"""Measuring designs: each in a scratch lab, on the same hidden days, under the same load.

What one design gave is kept in the cache under a digest of everything that decides it, so that reference and naive
designs are measured once per variant and machine, and a command that was killed goes on with what is missing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archlab import __version__
from archlab.errors import ArchlabError, TargetError, UserError
from archlab.experiments import calibration, neighbours
from archlab.experiments.hidden import hidden_days, hidden_team
from archlab.experiments.holding import REPEATS
from archlab.experiments.neighbours import Loudness
from archlab.experiments.scoring import too_slow
from archlab.files import write_model
from archlab.lab import scratch
from archlab.lab.clock import advance
from archlab.lab.driving import drive, prepared, script_of
from archlab.lab.lab import Lab
from archlab.lab.work import clock
from archlab.plan.layout import layout
from archlab.plan.resolve import override
from archlab.spec.airline import Scoreboard
from archlab.spec.experiments import DesignRun, DesignTask, DesignTrial, Load, LoadFigures, Noise
from archlab.spec.plan import Progress
from archlab.spec.scenario import Mode, Overrides, Scenario
from archlab_serving.settings import MAX_ROWS

DAY = timedelta(days=1)
USERS = 10


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is the same for every design of a trial."""

    starts: datetime
    days: int
    offered_per_s: float
    load_seconds: int
    lose: str
    """Replica to take away before the load; empty for none."""
    noisy: str = ""
    """Team that asks for far more than its part during the load; empty for none."""
    noise_rows: int = 0
    """Of each of its requests, at the least."""
    loudness: Loudness | None = None
    """None until one design's measurement has scaled it to this machine."""

    def as_loud_as(self, loads: Iterable[Load]) -> Conditions:
        """These, with the noise that there was beside loads: all designs of a trial get the same."""
        found = (load.noise.figures for load in loads if load.noise and load.noise.figures)
        first = next((Loudness(f.rows, f.offered_per_s) for f in found), None)
        return replace(self, loudness=self.loudness or first)


@dataclass(frozen=True, slots=True)
class Designs:
    """The designs that a submitted one is compared with."""

    reference: tuple[str, Overrides]
    naive: tuple[tuple[str, Overrides], ...]


def check(lab: Lab, design: Overrides) -> None:
    """Whether a design can be planned at all; nothing is measured.

    Raises:
        UserError: it names what the scenario does not have, or no device is left for it.
        LabStateError: no scratch lab can be made of this lab.
    """
    scratch.check_possible(lab)
    for name, change in design.models.items():
        if change.canary_percent or change.shadow_percent:
            raise UserError(f"{name}: a design has no canary or shadow: every version there is the champion.")
    if design.autoscale:
        raise UserError("A design is tried on this machine, where nothing is autoscaled: name fixed replicas.")
    layout(lab.name, lab.resolved, lab.identity.seed, design)


def conditions(lab: Lab, question: str, task: DesignTask, rate: float) -> Conditions:
    """Hidden days and noisy team by question and seed, no day that the learner's clock has reached; the load by this
    machine's rate.

    Raises:
        UserError: the clock has passed all days that could be taken.
    """
    starts = hidden_days(question, lab.identity.seed, lab.declared.starts, clock(lab), task.days)
    offered = float(f"{rate * task.load_share:.2g}")
    lose = f"{task.lose}-0" if task.lose else ""
    online = sorted({m.team for m in lab.declared.models if m.mode is Mode.ONLINE})
    noisy = hidden_team(question, lab.identity.seed, online) if task.noise_rows else ""
    return Conditions(starts, task.days, offered, task.load_seconds, lose, noisy, task.noise_rows)


def demand(lab: Lab, where: Conditions) -> dict[str, int]:
    """Replayed requests per model on the hidden days."""
    from archlab.pipelines.data import data_folder

    data = data_folder(lab.folder.cache, lab.declared.business)
    until = where.starts + where.days * DAY
    return {m.name: len(lab.business.asks(data, m.name, m.caller, where.starts, until)) for m in lab.resolved.models}


def trial(
    lab: Lab, question: str, submitted: Overrides, others: Designs, where: Conditions, progress: Progress
) -> DesignTrial:
    """Measure all designs; those that the cache knows are not measured again.

    Raises:
        ConflictError: another command uses the lab's scratch lab.
        TargetError: the scratch lab failed; names the unit.
    """
    taken, _ = calibration.needed(lab, progress)
    with scratch.reserved(lab, f"answer {question}"):
        naive: list[DesignRun] = []
        for name, design in others.naive:
            naive.append(_measured(lab, name, design, where, progress))
            where = where.as_loud_as(naive[-1].loads)
        reference = _measured(lab, *others.reference, where, progress)
        own = _measured(lab, "submitted", submitted, where, progress)
    return DesignTrial(question=question, submitted=own, reference=reference, naive=tuple(naive), calibration=taken)


def digest(scenario: Scenario, seed: int, design: Overrides, where: Conditions, data: str) -> str:
    """Over everything that decides what is measured, but the machine."""
    parts = {
        "code": __version__,
        "scenario": override(scenario, design).model_dump(mode="json"),
        "seed": seed,
        "data": data,
        "starts": where.starts.isoformat(),
        "days": where.days,
        "offered_per_s": where.offered_per_s,
        "load_seconds": where.load_seconds,
        "lose": where.lose,
        "noise": _noise(where),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _noise(where: Conditions) -> list[str | int | float | None]:
    if not where.noisy:
        return ["", where.noise_rows]
    rows, per_s = (where.loudness.rows, where.loudness.per_s) if where.loudness else (None, None)
    return [where.noisy, where.noise_rows, rows, per_s, neighbours.MOST_PER_S, MAX_ROWS, REPEATS]


def _measured(lab: Lab, name: str, design: Overrides, where: Conditions, progress: Progress) -> DesignRun:
    from archlab.pipelines.data import data_folder

    data = data_folder(lab.folder.cache, lab.declared.business).name
    key = digest(lab.resolved, lab.identity.seed, design, where, data)
    path = lab.folder.cache / "designs" / f"{key}.json"
    known = _known(path)
    if known is None:
        progress("measure", name)
        known = _measure(lab, name, key, design, where, progress)
        write_model(path, known)
    return known.model_copy(update={"name": name, "overrides": design})


def _known(path: Path) -> DesignRun | None:
    try:
        return DesignRun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _measure(lab: Lab, name: str, key: str, design: Overrides, where: Conditions, progress: Progress) -> DesignRun:
    def labelled(step: str, detail: str) -> None:
        progress(f"{name}: {step}", detail)

    began = time.monotonic()
    try:
        with scratch.running(lab, where.starts, design, labelled) as made:
            advance(made, where.days * DAY, labelled)
            days = tuple(Scoreboard.model_validate(day) for day in made.control.get("/score/daily"))
            loads = _loads(made, where, labelled)
    except UserError as error:
        # a lab that was made by us refuses or does not answer: that is not the learner's doing
        raise TargetError(f"The scratch lab failed while {name} was measured: {error.message}", error.remedy) from error
    return DesignRun(
        name=name,
        digest=key,
        overrides=design,
        days=days,
        loads=loads,
        taken=datetime.now(UTC),
        seconds=round(time.monotonic() - began, 1),
    )


def _loads(made: Lab, where: Conditions, progress: Progress) -> tuple[Load, ...]:
    """One load; when it is too slow for a promise, two more tell noise from the design."""
    if where.lose:
        progress("lose", where.lose)
        made.target.withdraw(where.lose)
    first = _load(made, where, progress)
    if not too_slow(first, made.scenario):
        return (first,)
    again = where.as_loud_as([first])
    return (first, *(_load(made, again, progress) for _ in range(REPEATS - 1)))


def _load(made: Lab, where: Conditions, progress: Progress) -> Load:
    progress("load", f"{where.offered_per_s:g} requests/s for {where.load_seconds} s")
    script = script_of(made)
    if where.noisy:
        noise, facts = _beside_noise(made, where)
    else:
        noise, facts = None, _driven(made, where, prepared(made, script))
    return Load(
        offered_per_s=where.offered_per_s,
        seconds=facts["seconds"],
        lost=where.lose,
        models=tuple(figures(facts["models"])),
        noise=noise,
    )


def _driven(made: Lab, where: Conditions, requests: Path) -> dict[str, Any]:
    extra = {"ARCHLAB_LOAD_REQUESTS": str(requests)}
    return drive(made, script_of(made), USERS, where.load_seconds, where.offered_per_s / USERS, extra)


def _beside_noise(made: Lab, where: Conditions) -> tuple[Noise, dict[str, Any]]:
    """The load of everybody else while one team is noisy; quiet when that team has nothing online."""
    team = made.scenario.team(where.noisy)
    if not any(m.team == team.name and m.mode is Mode.ONLINE for m in made.scenario.models):
        facts = _driven(made, where, prepared(made, script_of(made)))
        return Noise(team=team.name, isolation=team.isolation), facts
    loudness, counted = where.loudness or neighbours.scaled(made, team.name, where.noise_rows), dict[str, Any]()
    others, noise = neighbours.requests_of(made, team.name, loudness.rows)
    with neighbours.aloud(made, noise, loudness.per_s, counted):
        facts = _driven(made, where, others)
    became = neighbours.noise_figures(counted, team.name, loudness)
    return Noise(team=team.name, isolation=team.isolation, figures=became), facts


def figures(models: Mapping[str, Mapping[str, float]]) -> list[LoadFigures]:
    """What load.py counted, as specs.

    Raises:
        ArchlabError: it counted nothing.
    """
    if not models:
        raise ArchlabError("The load sent nothing.", "See load.log of the scratch lab, or run: archlab load")
    return [
        LoadFigures(
            model=name,
            requests=int(m["requests"]),
            failures=int(m["failures"]),
            p50_ms=m["p50_ms"],
            p95_ms=m["p95_ms"],
            p99_ms=m["p99_ms"],
        )
        for name, m in sorted(models.items())
    ]
