"""A noisy neighbour, measured: one team asks for far more than its part, and the others' answers are timed meanwhile.

Everything happens in a scratch lab beside the learner's. Each round goes through all designs in turn, first a control
without noise; in each, the same callers ask before, during and after. Noise is made of the team's real requests, with
many rows each: what they cost a server, a limit on requests doesn't see. How many there are is scaled to what this
machine answers, so that the servers have more to do than they can; where one generator can't send so many, each has
more rows.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from statistics import median
from typing import Any

from archlab.errors import ArchlabError, NotFoundError, UserError
from archlab.files import write_atomic, write_model
from archlab.lab import isolation, records, scratch
from archlab.lab.changes import apply_overrides
from archlab.lab.client import GatewayClient
from archlab.lab.driving import beside, caller_of, drive, prepared, script_of
from archlab.lab.lab import Lab
from archlab.lab.work import clock
from archlab.spec.access import PLATFORM_TEAM
from archlab.spec.experiments import NoiseFigures
from archlab.spec.neighbours import CONTROL, NeighbourReport, NeighbourRun, TeamFigures
from archlab.spec.plan import Progress
from archlab.spec.scenario import Mode, Scenario
from archlab.spec.tenancy import Isolation
from archlab_serving.settings import MAX_ROWS

USERS = 10
PARTS = 60
"""Weight of each victim in the mix; its models share it."""
BODIES = 8
PROBES = 15
PRESSURE = 3.0
"""Noise, as a multiple of what its sender would get answered if it waited for each answer."""
MOST_PER_S = 600.0
"""More requests than that, and the generator itself is what disturbs."""
ENOUGH = 1.1
"""Requests get more rows until those that are needed are at most this multiple of `MOST_PER_S`."""
SETTLING_S = 1.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured."""

    team: str
    designs: tuple[Isolation, ...]
    rounds: int
    seconds: int
    rows: int
    """Of each noisy request; more where `MOST_PER_S` of them are too few."""
    victims_per_s: float
    rate: float | None = None
    """Noise in requests per second; scaled to this machine unless given. Requests then have just `rows`."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """How much noise there is: the same for all designs of one measurement."""

    rows: int
    """Of each request."""
    per_s: float
    """Requests offered per second."""


def measure(lab: Lab, setting: Setting, progress: Progress) -> NeighbourReport:
    """Measure, and keep the report in the lab's folder.

    Raises:
        NotFoundError: there is no such team.
        UserError: it has nothing online, or nobody else has.
        ConflictError: the lab's scratch lab is in use.
        TargetError: the scratch lab does not come up.
    """
    check(lab.scenario, setting.team)
    began, now = time.monotonic(), clock(lab)
    teams = isolation.asking(lab.scenario)
    nothing = isolation.design(lab.overrides, teams, Isolation.NONE)
    plans = {kind: isolation.design(lab.overrides, teams, kind) for kind in setting.designs}
    held = {kind.value: isolation.holdings(lab, wanted, now) for kind, wanted in plans.items()}
    runs: list[NeighbourRun] = []
    with (
        scratch.reserved(lab, f"neighbours {setting.team}"),
        scratch.running(lab, lab.declared.starts, nothing, progress) as made,
    ):
        loudness = Loudness(setting.rows, setting.rate) if setting.rate else scaled(made, setting.team, setting.rows)
        victims, noise = requests_of(made, setting.team, loudness.rows)
        for number in range(1, setting.rounds + 1):
            for design in (CONTROL, *setting.designs):
                kind = Isolation.NONE if design == CONTROL else Isolation(design)
                apply_overrides(made, isolation.design(lab.overrides, teams, kind), lambda *_: None)
                progress(f"round {number} of {setting.rounds}", design)
                loud = None if design == CONTROL else loudness
                runs.append(_run(made, setting, design, number, victims, noise, loud))
    report = NeighbourReport(
        lab=lab.name,
        scenario=lab.identity.scenario,
        seed=lab.identity.seed,
        team=setting.team,
        rows=loudness.rows,
        offered_per_s=loudness.per_s,
        victims_per_s=setting.victims_per_s,
        seconds=setting.seconds,
        runs=tuple(runs),
        held_nanousd=held,
        calibration=records.calibration(),
        taken=datetime.now(UTC),
        took_s=round(time.monotonic() - began, 1),
    )
    write_model(place(lab, setting.team), report)
    return report


def place(lab: Lab, team: str) -> Path:
    """Where a team's newest report lies."""
    return lab.folder.root / "neighbours" / f"{team}.json"


def check(scenario: Scenario, team: str) -> None:
    """Whether a team can be made noisy here. Raises as `measure` does."""
    if team not in {t.name for t in scenario.teams}:
        raise NotFoundError(f"There is no team {team!r}.", f"Teams: {', '.join(t.name for t in scenario.teams)}.")
    online = {m.team for m in scenario.models if m.mode is Mode.ONLINE}
    if team not in online:
        raise UserError(
            f"{team} has no online model to be noisy with.", f"Teams that have: {', '.join(sorted(online))}."
        )
    if not online - {team}:
        raise UserError("No other team has an online model: there is nobody to disturb.")


def mix(models: Sequence[Mapping[str, Any]], online: set[str], team: str) -> list[dict[str, Any]]:
    """Requests of everybody but one team: each of the others asks as much, its online models in equal parts."""
    found = [m for m in models if m["team"] != team and m["name"] in online]
    counts = Counter(m["team"] for m in found)
    return [{**m, "weight": PARTS // counts[m["team"]]} for m in found]


def widened(bodies: Sequence[str], rows: int) -> list[str]:
    """Requests of so many rows each, put together from single-row ones in turn.

    Only those with the most frequent inputs are taken: of a flight whose aircraft is not known a key is missing.
    """
    every = [json.loads(body)["inputs"] for body in bodies]
    (usual, _), *_ = Counter(_names(inputs) for inputs in every).most_common(1)
    single = [inputs for inputs in every if _names(inputs) == usual]
    return [
        _wide(number, [single[(number * rows + row) % len(single)] for row in range(rows)]) for number in range(BODIES)
    ]


def _names(inputs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(str(tensor["name"]) for tensor in inputs)


def _wide(number: int, requests: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    inputs = [
        {**tensor, "shape": [len(requests)], "data": [inputs[place]["data"][0] for inputs in requests]}
        for place, tensor in enumerate(requests[0])
    ]
    return json.dumps({"id": f"noise-{number}", "inputs": inputs}, separators=(",", ":"))


def requests_of(made: Lab, team: str, rows: int) -> tuple[Path, Path]:
    """Files with the requests of the others, and of a team's noise.

    Raises:
        UserError: one of them has nothing to ask.
    """
    written = json.loads(prepared(made, script_of(made)).read_text())
    online = {m.name for m in made.scenario.models if m.mode is Mode.ONLINE}
    loud = [m for m in written["models"] if m["team"] == team and m["name"] in online]
    quiet = mix(written["models"], online, team)
    if not loud or not quiet:
        raise UserError("Nobody asks one side of these models on that day.", "Move the clock: archlab clock advance 1d")
    loud = [{**m, "weight": 1, "bodies": widened(m["bodies"], rows)} for m in loud]
    folder = made.folder.root / "load"
    files = folder / "requests-of-victims.json", folder / "requests-of-noise.json"
    for path, models in zip(files, (quiet, loud), strict=True):
        write_atomic(path, json.dumps({**written, "models": models}))
    return files


def scaled(made: Lab, team: str, rows: int) -> Loudness:
    """Noise that is more than this machine answers, with at least so many rows in each request.

    Raises:
        UserError: nobody asks one side of these models on that day.
    """
    while True:
        _, noise = requests_of(made, team, rows)
        needed = PRESSURE / typical_s(made, noise)
        if (more := rows_for(rows, needed)) == rows:
            return Loudness(rows, float(f"{min(needed, MOST_PER_S):.2g}"))
        rows = more


def rows_for(rows: int, needed_per_s: float) -> int:
    """Rows with which `MOST_PER_S` requests are as much as needed of these: in proportion, as many as servers take.

    What a request costs whatever it holds does not grow, so these may still be too few: measure again.
    """
    if needed_per_s <= ENOUGH * MOST_PER_S:
        return rows
    return max(rows, min(MAX_ROWS, ceil(rows * needed_per_s / MOST_PER_S)))


def typical_s(made: Lab, noise: Path) -> float:
    """Median time of noisy requests, one after another.

    The platform asks them, whom no team's limit or share concerns.
    """
    from archlab import identity

    caller = caller_of(PLATFORM_TEAM)
    client = GatewayClient(made.endpoints.gateway, lambda: identity.mint(made.folder, caller), made.name)
    taken = []
    for model in json.loads(noise.read_text())["models"]:
        for number in range(PROBES):
            body = json.loads(model["bodies"][number % BODIES])
            began = time.monotonic()
            client.post(f"/v2/models/{model['name']}/infer", body)
            taken.append(time.monotonic() - began)
    return median(taken)


@contextmanager
def aloud(made: Lab, noise: Path, per_s: float, figures: dict[str, Any]) -> Iterator[None]:
    """Noise in the background, settled when the body begins; `noise_figures` reads what it came to."""
    extra = {"ARCHLAB_LOAD_REQUESTS": str(noise)}
    with beside(made, script_of(made), 2 * USERS, per_s / (2 * USERS), extra, figures):
        time.sleep(SETTLING_S)
        yield


def _run(
    made: Lab, setting: Setting, design: str, number: int, victims: Path, noise: Path, loudness: Loudness | None
) -> NeighbourRun:
    before = _phase(made, setting, victims)
    figures: dict[str, Any] = {}
    if loudness:
        with aloud(made, noise, loudness.per_s, figures):
            during = _phase(made, setting, victims)
    else:
        during = _phase(made, setting, victims)
    return NeighbourRun(
        design=design,
        round=number,
        before=before,
        during=during,
        after=_phase(made, setting, victims),
        noise=noise_figures(figures, setting.team, loudness) if loudness else None,
    )


def _phase(made: Lab, setting: Setting, victims: Path) -> dict[str, TeamFigures]:
    script = script_of(made)
    count = len({m["team"] for m in json.loads(victims.read_text())["models"]})
    rate = setting.victims_per_s * count / USERS
    found = drive(made, script, USERS, setting.seconds, rate, {"ARCHLAB_LOAD_REQUESTS": str(victims)})
    if not found["teams"]:
        raise ArchlabError("The load sent nothing.", f"See {made.folder.log / 'load.log'}")
    return {
        team: TeamFigures(
            requests=f["requests"],
            failures=f["failures"],
            per_second=(f["requests"] - f["failures"]) / found["seconds"],
            p50_ms=f["p50_ms"],
            p99_ms=f["p99_ms"],
        )
        for team, f in found["teams"].items()
    }


def noise_figures(figures: Mapping[str, Any], team: str, loudness: Loudness) -> NoiseFigures:
    """What load.py counted of the noise.

    Raises:
        ArchlabError: it counted nothing, or not what was limited.
    """
    found = figures["teams"].get(team)
    if found is None:
        raise ArchlabError("The noise sent nothing.", "See noise.log of the scratch lab.")
    if "limited" not in found:
        raise ArchlabError(
            "The load's result does not say how many requests got a 429.",
            "The scenario's own load.py has to count them per team, as \"limited\"; the airline's shows how.",
        )
    return NoiseFigures(
        offered_per_s=loudness.per_s,
        rows=loudness.rows,
        answered_per_s=(found["requests"] - found["failures"]) / figures["seconds"],
        requests=found["requests"],
        failures=found["failures"],
        p50_ms=found["p50_ms"],
        reason=next(iter(found["reasons"]), ""),
        limited=found["limited"],
    )
