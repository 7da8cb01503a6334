"""Waits until a lab's pods are ready, tells how far they are, and says within seconds why one is not."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from archlab.errors import ArchlabError, TargetError
from archlab.spec.plan import Progress
from archlab.targets.kube.api import Api
from archlab.targets.kube.diagnosis import Trouble, is_ready, is_rolled_out, troubles, unit_of

PATIENCE_S = 240.0
STAYS_S = 8.0
"""What may go by itself, a pending pod for instance, is an error when it is still there after this."""
PAUSE_S = 0.4
TAIL_LINES = 15
APPS = "apps/v1"


@dataclass(slots=True)
class Rollout:
    """One wait."""

    api: Api
    release: str
    progress: Progress
    _since: dict[tuple[str, str], float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def wait(self, patience_s: float = PATIENCE_S) -> None:
        """Return when every deployment of the release is rolled out.

        Raises:
            TargetError: a pod does not come up; says why, and carries its last lines.
        """
        deadline = time.monotonic() + patience_s
        while True:
            chosen = {"labelSelector": f"app.kubernetes.io/instance={self.release}"}
            deployments = self.api.items(self.api.inside("deployments", group=APPS), **chosen)
            pods = self.api.items(self.api.inside("pods"), **chosen)
            self._tell(pods)
            if deployments and all(is_rolled_out(d) for d in deployments):
                return
            found = [t for t in troubles(deployments, pods) if self._counts(t)]
            if found:
                raise self._failure(found[0])
            if time.monotonic() > deadline:
                raise self._late([d["metadata"]["name"] for d in deployments if not is_rolled_out(d)], patience_s)
            time.sleep(PAUSE_S)

    def _tell(self, pods: list[dict[str, Any]]) -> None:
        current = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        ready = [p for p in current if is_ready(p)]
        for pod in ready:
            name = pod["metadata"]["name"]
            if name not in self._told:
                self._told.add(name)
                self.progress("start", f"{unit_of(pod)} is ready ({len(ready)} of {len(current)} pods)")

    def _counts(self, trouble: Trouble) -> bool:
        """Whether it is there to stay."""
        since = self._since.setdefault((trouble.pod, trouble.what[:20]), time.monotonic())
        return trouble.lasting or time.monotonic() - since > STAYS_S

    def _failure(self, trouble: Trouble) -> TargetError:
        tail = last_lines(self.api, trouble.pod, trouble.container) if trouble.container else ()
        return TargetError(f"{trouble.pod} {trouble.what}.", trouble.remedy, unit=trouble.unit, log_tail=tail)

    def _late(self, names: list[str], patience_s: float) -> TargetError:
        unit = names[0] if names else "the lab"
        return TargetError(
            f"{', '.join(names)} not ready after {patience_s:g} s.",
            f"See: archlab logs {unit}, archlab status",
            unit=unit,
        )


def last_lines(api: Api, pod: str, container: str, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """What a container said last: the run that ended or, when there was only one, this one."""
    path = api.inside("pods", pod) + "/log"
    for previous in ("true", "false"):
        try:
            text = api.text(path, container=container, tailLines=str(lines), previous=previous)
        except ArchlabError:
            continue
        if text.strip():
            return tuple(text.splitlines()[-lines:])
    return ()
