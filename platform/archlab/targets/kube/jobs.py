"""Jobs as Kubernetes Jobs: beside control, on its volume; their reports are read from the pod's log as they come."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archlab.errors import ConflictError, NotFoundError, TargetError
from archlab.jobs import InterruptedJobError
from archlab.settings import LabFolder
from archlab.spec.job import Job, JobResult
from archlab.spec.lab import KubePlace
from archlab.targets.base import OnEvent
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.diagnosis import is_ready, pod_trouble
from archlab.targets.kube.job_manifest import (
    ARGUMENTS,
    BATCH,
    GATEWAY,
    GRACE_S,
    HOME,
    LIMITS,
    WITH_REGISTRY,
    Wanted,
    manifest,
    metadata,
)
from archlab.targets.kube.values import chosen, own_values
from archlab.targets.processes import JOB_PREFIX
from archlab.targets.running import Heard, failure, hear

PAUSE_S = 0.3
START_WITHIN_S = 120.0
STAYS_S = 8.0
CONTROL_WITHIN_S = 240.0
WITHOUT_CONTROL = WITH_REGISTRY
"""Modules that also run while nothing else does."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Runs jobs in a lab's namespace."""

    api: Api
    place: KubePlace
    folder: LabFolder
    gateway: str
    """The gateway's address outside; inside it has another."""
    running: set[str] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, job: Job, on_event: OnEvent) -> JobResult:
        """Run a job to its end; one of the same name and arguments that still runs is followed instead.

        Raises:
            InterruptedJobError: it was asked to stop.
            ConflictError: another job of that name runs.
            ArchlabError: the error that it reported.
            TargetError: it could not start, or ended without a result.
        """
        name, log = JOB_PREFIX + job.name, self.folder.log / f"{JOB_PREFIX}{job.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        started, heard = time.monotonic(), Heard()
        self.running.add(name)
        try:
            if job.module not in WITHOUT_CONTROL:
                self._await_control(name)
            self._start(name, job)
            code = self._attend(name, heard, log, on_event)
        finally:
            self.running.discard(name)
        self._tidy(name)
        if heard.result is not None and code == 0:
            seconds = time.monotonic() - started
            return JobResult(result=heard.result, seconds=seconds, peak_rss_bytes=heard.peak_rss_bytes)
        raise failure(job, heard, code, log)

    def interrupt(self) -> None:
        """Ask the jobs of other threads to stop at their next safe point."""
        self.stopping.set()
        for name in tuple(self.running):
            self._stop(name)

    def clear(self) -> None:
        """Take every job of the lab away."""
        for job in self.api.items(self._path(), labelSelector="app.kubernetes.io/component=job"):
            self.api.delete(self._path(job["metadata"]["name"]))

    def _start(self, name: str, job: Job) -> None:
        manifest = self._manifest(name, job)
        mark = manifest["metadata"]["annotations"][ARGUMENTS]
        with contextlib.suppress(NotFoundError):
            found = self.api.get(self._path(name))
            ended = any(c["status"] == "True" for c in found.get("status", {}).get("conditions") or ())
            same = found["metadata"].get("annotations", {}).get(ARGUMENTS) == mark
            if not ended and not found["metadata"].get("deletionTimestamp"):
                if same:
                    return
                raise ConflictError(
                    f"Job {job.name} runs already, with other arguments.",
                    f"Wait until it is done, or stop it: kubectl -n {self.place.namespace} delete job {name}",
                )
            self._tidy(name)
            self._until_gone(name)
        if job.env:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": self._metadata(name),
                "stringData": self._env(job),
            }
            self.api.apply(self.api.inside("secrets", name), body)
        self.api.create(self._path(), manifest)

    def _await_control(self, name: str) -> None:
        """Jobs work in control's folder: it has put there what they read once it is ready."""
        deadline = time.monotonic() + CONTROL_WITHIN_S
        while not any(map(is_ready, self.api.items(self.api.inside("pods"), labelSelector="archlab.dev/unit=control"))):
            if self.stopping.wait(PAUSE_S):
                raise InterruptedJobError(f"Job {name} was stopped.", "Run the command again to continue.")
            if time.monotonic() > deadline:
                raise TargetError(
                    f"Job {name} waits for control, which is not ready.", "See: archlab status", unit=name
                )

    def _attend(self, name: str, heard: Heard, log: Path, on_event: OnEvent) -> int:
        """Listen until the job has ended; its exit code."""
        with log.open("w") as output:
            while True:
                try:
                    pod = self._started(name)
                    self._listen(pod, heard, output, on_event)
                    return self._code(name, pod)
                except KeyboardInterrupt:
                    if heard.interrupted:
                        raise
                    heard.interrupted = True
                    self._stop(name)
                except NotFoundError:
                    if heard.interrupted:
                        return 1
                    raise TargetError(f"Job {name} was deleted.", "Run the command again.", unit=name) from None

    def _listen(self, pod: str, heard: Heard, output: Any, on_event: OnEvent) -> None:
        """Every line once, over as many connections as it takes."""
        path, taken = self.api.inside("pods", pod) + "/log", 0
        while True:
            for number, line in enumerate(self.api.lines(path, container="job", follow="true")):
                if number >= taken:
                    hear(f"{line}\n", heard, output, on_event)
                    taken = number + 1
            if self.api.get(self.api.inside("pods", pod))["status"]["phase"] in ("Succeeded", "Failed"):
                return
            time.sleep(PAUSE_S)

    def _started(self, name: str) -> str:
        """Name of the job's pod, once it runs or has run."""
        deadline, since = time.monotonic() + START_WITHIN_S, 0.0
        while True:
            stopped = self.api.get(self._path(name))["spec"].get("suspend", False)
            pods = self._pods(name)
            if stopped and not pods:
                raise InterruptedJobError(f"Job {name} was stopped.", "Run the command again to continue.")
            if pods and pods[-1]["status"]["phase"] != "Pending":
                return str(pods[-1]["metadata"]["name"])
            trouble = next((t for t in map(pod_trouble, pods) if t), None)
            since = (since or time.monotonic()) if trouble else 0.0
            if trouble and (trouble.lasting or time.monotonic() - since > STAYS_S):
                raise TargetError(f"Job {name} {trouble.what}.", trouble.remedy, unit=name)
            if time.monotonic() > deadline:
                raise TargetError(f"Job {name} does not start.", f"See: kubectl describe job {name}", unit=name)
            time.sleep(PAUSE_S)

    def _code(self, name: str, pod: str) -> int:
        states = self.api.get(self.api.inside("pods", pod))["status"].get("containerStatuses") or ()
        ended: Object = next((s["state"].get("terminated") or {} for s in states), {})
        if ended.get("reason") == "OOMKilled":
            raise TargetError(
                f"Job {name} needs more memory than its limit of {LIMITS['memory']} (OOMKilled).", unit=name
            )
        return int(ended.get("exitCode", 1))

    def _pods(self, name: str) -> list[Object]:
        found = self.api.items(self.api.inside("pods"), labelSelector=f"batch.kubernetes.io/job-name={name}")
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _stop(self, name: str) -> None:
        """Its pod gets SIGTERM and time to come to a safe point."""
        with contextlib.suppress(NotFoundError):
            self.api.patch(self._path(name), {"spec": {"suspend": True}})

    def _tidy(self, name: str) -> None:
        self.api.delete(self._path(name))
        self.api.delete(self.api.inside("secrets", name))

    def _until_gone(self, name: str) -> None:
        deadline = time.monotonic() + GRACE_S + 10
        while self._pods(name) or self._exists(name):
            if time.monotonic() > deadline:
                raise TargetError(f"An earlier job {name} does not go away.", "Run the command again.", unit=name)
            time.sleep(PAUSE_S)

    def _exists(self, name: str) -> bool:
        try:
            self.api.get(self._path(name))
        except NotFoundError:
            return False
        return True

    def _path(self, name: str = "") -> str:
        return self.api.inside("jobs", name, group=BATCH)

    def _metadata(self, name: str) -> Object:
        return metadata(self.folder.name, name)

    def _manifest(self, name: str, job: Job) -> Object:
        beside = bool(self.api.items(self.api.inside("pods"), labelSelector="archlab.dev/unit=control"))
        command = ["python", "-m", job.module, *self._inside(job.args)]
        online = chosen(own_values(self.folder), "features", "online")
        return manifest(Wanted(self.folder.name, name, job, tuple(command), self.place.image, beside, online))

    def _env(self, job: Job) -> Mapping[str, str]:
        return dict(zip(job.env, self._inside(job.env.values()), strict=True))

    def _inside(self, words: Iterable[str]) -> list[str]:
        """Paths below archlab's home, and the gateway's address, as a pod has them."""
        home = str(self.folder.root.parent)
        return [self._word(word, home) for word in words]

    def _word(self, word: str, home: str) -> str:
        if word == home or word.startswith(f"{home}/"):
            return HOME + word.removeprefix(home)
        if self.gateway and word.startswith(self.gateway):
            return GATEWAY + word.removeprefix(self.gateway)
        return word
