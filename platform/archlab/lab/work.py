"""Jobs of a lab: what runs once and ends."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from archlab import identity
from archlab.lab.lab import Lab
from archlab.spec.job import Job, JobResult
from archlab.spec.plan import Progress


def run_job(lab: Lab, job: Job, progress: Progress, finished: list[dict[str, Any]] | None = None) -> JobResult:
    """Run a job on the lab's target; its steps become progress, what it finishes on the way goes into `finished`.

    Raises:
        ArchlabError: what the job reported, with its last log lines.
    """

    def on_event(event: dict[str, Any]) -> None:
        if "finished" in event and finished is not None:
            finished.append(event["finished"])
        if "step" in event:
            total = f" {event['done']}/{event['total']}" if event.get("total") else ""
            progress(str(event["step"]), f"{event.get('detail', '')}{total}".strip())

    return lab.target.run(job, on_event)


def clock(lab: Lab) -> datetime:
    """The business time."""
    return datetime.fromisoformat(lab.control.get("/clock")["now"])


def run_batch(lab: Lab, model: str, progress: Progress) -> dict[str, Any]:
    """One batch run now on the business clock: answers written, recorded, published; returns the recorded run."""
    when = clock(lab)
    job = Job(name=f"batch-{model}", module="archlab.pipelines.batch", args=(f"{model}@{when.isoformat()}",))
    finished: list[dict[str, Any]] = []
    run_job(lab, job, progress, finished)
    recorded: dict[str, Any] = lab.recorder.post("/batch-runs", finished[0])
    return recorded


def mlflow_environment(lab: Lab, user: str) -> dict[str, str]:
    """What an unmodified MLflow client needs."""
    return {
        "MLFLOW_TRACKING_URI": lab.endpoints.registry,
        "MLFLOW_TRACKING_TOKEN": identity.mint(lab.folder, lab.user(user)),
    }
