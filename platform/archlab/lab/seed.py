"""From nothing to the scenario's start: units up, features filled, models trained, registered, approved, promoted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from archlab.lab import candidates, promotion, tampering
from archlab.lab.lab import Lab
from archlab.lab.work import mlflow_environment, run_batch, run_job
from archlab.spec.job import Job
from archlab.spec.plan import Progress
from archlab.spec.scenario import Mode


def seed(lab: Lab, progress: Progress) -> None:
    """Carry a new lab to its start. Steps that are done already are found done and skipped."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        training = pool.submit(train, lab, progress)
        try:
            lab.target.apply(lab.plan, progress)
            if not training.done():
                progress("wait", "for the models to be trained")
            training.result()
        except BaseException:
            lab.target.interrupt()
            raise
    fill_features(lab, progress)
    register(lab, progress)
    promote_all(lab, progress)
    candidates.plant(lab, progress)
    for model in lab.scenario.models:
        if model.mode is Mode.BATCH:
            progress("batch", model.name)
            run_batch(lab, model.name, progress)
    lab.control.post("/releases/reconcile", {})
    tampering.carry_out(lab, progress)


def train(lab: Lab, progress: Progress) -> None:
    """Data, feature views, ten models; what the cache holds is taken from there."""
    run_job(lab, Job(name="train", module="archlab.pipelines.train"), progress)


def fill_features(lab: Lab, progress: Progress) -> None:
    """Materialise every view up to the scenario's start and publish the snapshot; done once."""
    if lab.control.get("/snapshots") is not None:
        return
    start = lab.declared.starts
    ticks: list[dict[str, Any]] = []
    progress("features", "materialise online features")
    job = Job(
        name="features",
        module="archlab.pipelines.materialize",
        args=("--from", start.isoformat(), "--to", (start + lab.declared.tick).isoformat()),
    )
    lab.target.run(job, ticks.append)
    done = [tick for tick in ticks if "tick" in tick]
    body = {part: [one for tick in done for one in tick.get(part, ())] for part in ("views", "lineage")}
    lab.recorder.post("/snapshots", {"business_time": start.isoformat(), **body})


def register(lab: Lab, progress: Progress) -> None:
    """Register every trained model as the trainer, through the gateway, with the ordinary MLflow client."""
    environment = mlflow_environment(lab, lab.declared.trainer)
    run_job(lab, Job(name="register", module="archlab.pipelines.register", env=environment), progress)


def promote_all(lab: Lab, progress: Progress) -> None:
    """Approve and promote version 1 of every model that has no champion yet."""
    for model in lab.scenario.models:
        if promotion.champion(lab, model.name) is None:
            progress("promote", model.name)
            promotion.approve(lab, model.name, "1")
            promotion.promote(lab, model.name, "1")


def known_columns(lab: Lab) -> str:
    """JSON: for each model the request columns that its callers can bring at the moment they ask."""
    cards = lab.business.cards
    known = {name: [c.name for c in card.columns if c.source == "request"] for name, card in sorted(cards.items())}
    return json.dumps(known, indent=2) + "\n"
