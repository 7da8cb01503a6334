"""Sweeps: something measured over a range, kept with intervals in the lab's folder and from there in its evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from archlab.errors import ArchlabError, NotFoundError, UserError
from archlab.experiments import calibration
from archlab.experiments.intervals import of_repeats
from archlab.files import write_atomic
from archlab.lab import records, scratch
from archlab.lab.changes import apply_overrides
from archlab.lab.driving import drive, prepared, script_of
from archlab.lab.lab import Lab
from archlab.lab.work import clock, run_job
from archlab.spec.base import NANO_PER_USD
from archlab.spec.experiments import Estimate, Sweep, SweepPoint
from archlab.spec.job import Job
from archlab.spec.money import Resource
from archlab.spec.plan import Progress
from archlab.spec.scenario import Mode, Model, ModelOverride, Overrides

DAY = timedelta(days=1)
USERS = 10


@dataclass(frozen=True, slots=True)
class LoadRange:
    """What a load sweep varies, and how often each point is measured."""

    replicas: Sequence[int]
    shares: Sequence[float]
    """Of the calibrated requests per second."""
    repeats: int
    seconds: int


def materialisation(
    lab: Lab, model: str, view: str, every: Sequence[timedelta], days: int, progress: Progress
) -> Sweep:
    """Quality of a model's answers, and the price, over how often one of its feature views is materialised.

    A backtest over past days of the lab's clock (`archlab.pipelines.backtest`), so that nothing is replayed and nobody
    disturbed. Measures: the card's metric, `difference` to the first schedule (paired), `usd_per_day`.

    Raises:
        UserError: the model does not read the view, or nothing was asked on those days.
    """
    _model(lab, model)
    schedule = next((f for f in lab.resolved.features if f.view == view), None)
    if schedule is None:
        known = ", ".join(f.view for f in lab.resolved.features)
        raise NotFoundError(f"There is no feature view {view!r}.", f"Views: {known}.")
    until = clock(lab)
    args = (model, view, "--until", until.isoformat(), "--days", str(days), "--every")
    seconds = [str(int(each.total_seconds())) for each in every]
    job = Job(name="backtest", module="archlab.pipelines.backtest", args=(*args, *seconds))
    done = run_job(lab, job, progress)
    price = lab.resolved.prices.at(Resource.MATERIALIZE_CPU, until)
    per_run = Fraction(schedule.cpu_millicore_seconds * price.nanousd, price.per)
    points = tuple(_backtested(done.result, point, per_run) for point in done.result["points"])
    sweep = Sweep(
        name="materialisation",
        model=model,
        taken=datetime.now(UTC),
        method=f"Backtest of {done.result['answers']:,} labelled answers of the {days} days before {until:%d %b}; "
        "95 % by resampling whole days; the price is modelled.",
        fixed={"view": view, "metric": done.result["metric"], "version": done.result["version"]},
        points=points,
        calibration=records.calibration(),
        seconds=round(done.seconds, 1),
    )
    records.keep_sweep(lab, sweep)
    return sweep


def load(lab: Lab, model: str, over: LoadRange, progress: Progress) -> Sweep:
    """p99, throughput and availability of one model over replicas and offered load, in a scratch lab.

    Measures: `p99_ms`, `per_second` (answered), `availability`; each point is repeated and has Student's interval.

    Raises:
        UserError: the model is not online in the scenario.
        ConflictError: the lab's scratch lab is in use.
        TargetError: the scratch lab does not come up.
    """
    declared = _model(lab, model)
    if declared.mode is not Mode.ONLINE:
        raise UserError(f"{model} is answered from a table: replicas do not compute it.", "Choose an online model.")
    taken, rate = calibration.needed(lab, progress)
    began = time.monotonic()
    points: list[SweepPoint] = []
    first = _replicas(model, over.replicas[0])
    with (
        scratch.reserved(lab, f"sweep load {model}"),
        scratch.running(lab, lab.declared.starts, first, progress) as made,
    ):
        requests = _only(made, model)
        for count in over.replicas:
            apply_overrides(made, _replicas(model, count), lambda *_: None)
            for share in over.shares:
                offered = float(f"{share * rate.value:.3g}")
                progress(f"{count} replicas", f"{offered:g} requests/s")
                runs = [_run(made, requests, model, offered, over.seconds) for _ in range(over.repeats)]
                points.append(_loaded({"replicas": count, "share": share, "offered_per_s": offered}, runs))
    sweep = Sweep(
        name="load",
        model=model,
        taken=datetime.now(UTC),
        method=f"{over.repeats} open-loop loads of {over.seconds} s per point in a scratch lab; 95 % by Student's t.",
        points=tuple(points),
        calibration=taken,
        seconds=round(time.monotonic() - began, 1),
    )
    records.keep_sweep(lab, sweep)
    return sweep


def _model(lab: Lab, name: str) -> Model:
    try:
        return lab.resolved.model(name)
    except KeyError:
        known = ", ".join(m.name for m in lab.resolved.models)
        raise NotFoundError(f"There is no model {name!r} in this lab.", f"Models: {known}.") from None


def _replicas(model: str, count: int) -> Overrides:
    return Overrides(models={model: ModelOverride(replicas=count)})


def _only(made: Lab, model: str) -> Path:
    """The scenario's requests, of one model alone.

    Raises:
        UserError: nobody asks it on that day.
    """
    written = json.loads(prepared(made, script_of(made)).read_text())
    chosen = [m for m in written["models"] if m["name"] == model]
    if not chosen:
        raise UserError(f"Nobody asks {model} on that day.", "Choose another model.")
    path = made.folder.root / "load" / "requests-of-one.json"
    write_atomic(path, json.dumps(written | {"models": chosen}))
    return path


def _run(made: Lab, requests: Path, model: str, offered: float, seconds: int) -> dict[str, float]:
    extra = {"ARCHLAB_LOAD_REQUESTS": str(requests)}
    facts = drive(made, script_of(made), USERS, seconds, offered / USERS, extra)
    if model not in facts["models"]:
        raise ArchlabError("The load sent nothing.", f"See {made.folder.log / 'load.log'}")
    found: dict[str, float] = facts["models"][model] | {"seconds": facts["seconds"]}
    return found


def _loaded(settings: dict[str, float], runs: Sequence[dict[str, float]]) -> SweepPoint:
    return SweepPoint(
        settings=settings,
        measures={
            "p99_ms": of_repeats([r["p99_ms"] for r in runs]),
            "per_second": of_repeats([(r["requests"] - r["failures"]) / r["seconds"] for r in runs]),
            "availability": of_repeats([1 - r["failures"] / r["requests"] for r in runs]),
        },
        repeats=len(runs),
    )


def _backtested(result: dict[str, Any], point: dict[str, Any], per_run: Fraction) -> SweepPoint:
    """One schedule.

    Raises:
        UserError: the measure is undefined on these days.
    """
    if point["quality"] is None or point["difference"] is None:
        raise UserError(f"{result['metric']} is undefined on these days.", "Choose more: --days 28")
    usd = float(per_run * Fraction(86_400, point["every_s"]) / NANO_PER_USD)
    return SweepPoint(
        settings={"every_s": point["every_s"]},
        measures={
            result["metric"]: Estimate.model_validate(point["quality"]),
            "difference": Estimate.model_validate(point["difference"]),
            "usd_per_day": Estimate(value=usd, low=usd, high=usd),
        },
        repeats=result["days"],
    )
