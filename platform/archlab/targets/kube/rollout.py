"""Waits until a lab's pods are ready, tells how far they are, and says within seconds why one is not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archlab.errors import ArchlabError, TargetError
from archlab.spec.plan import Progress
from archlab.targets.kube.api import Api
from archlab.targets.kube.diagnosis import (
    Trouble,
    deployment_trouble,
    is_ready,
    is_rolled_out,
    troubles,
    unit_of,
    waits_for_room,
)

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
    namespaces: tuple[str, ...]
    """The lab's, and those of its teams."""
    least: Mapping[str, int]
    """Replicas that are enough of units that follow load."""
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
            deployments = self._items("deployments", APPS, chosen)
            pods = self._items("pods", "", chosen)
            self._tell(pods)
            waiting = [d for d in deployments if self._waits(d)]
            open_yet = [d for d in deployments if d not in waiting and not self._is_there(d)]
            if deployments and not open_yet:
                self._tell_waiting(waiting)
                return
            found = self._to_stay(troubles([d for d in deployments if d not in waiting], pods))
            if found:
                raise self._failure(found[0])
            if time.monotonic() > deadline:
                raise self._late([d["metadata"]["name"] for d in open_yet], patience_s)
            time.sleep(PAUSE_S)

    def _is_there(self, deployment: dict[str, Any]) -> bool:
        return is_rolled_out(deployment, self.least.get(unit_of(deployment)))

    def _waits(self, deployment: dict[str, Any]) -> bool:
        """A quota that keeps a scaled pool's old pods holds up nothing else: enough of them answer."""
        least = self.least.get(unit_of(deployment))
        return least is not None and waits_for_room(deployment, least)

    def _tell_waiting(self, deployments: list[dict[str, Any]]) -> None:
        for trouble in filter(None, map(deployment_trouble, deployments)):
            self.progress("wait", f"{trouble.unit} goes on with what it has: {trouble.what}. {trouble.remedy}")

    def _items(self, kind: str, group: str, chosen: dict[str, str]) -> list[dict[str, Any]]:
        paths = (self.api.inside(kind, group=group, namespace=name) for name in self.namespaces)
        return [item for path in paths for item in self.api.items(path, **chosen)]

    def _tell(self, pods: list[dict[str, Any]]) -> None:
        current = [p for p in pods if not p["metadata"].get("deletionTimestamp")]
        ready = [p for p in current if is_ready(p)]
        for pod in ready:
            name = pod["metadata"]["name"]
            if name not in self._told:
                self._told.add(name)
                self.progress("start", f"{unit_of(pod)} is ready ({len(ready)} of {len(current)} pods)")

    def _to_stay(self, found: list[Trouble]) -> list[Trouble]:
        """Those that don't go by themselves; one that came back begins anew."""
        now = time.monotonic()
        self._since = {(key := (t.pod, t.what[:20])): self._since.get(key, now) for t in found}
        return [t for t in found if t.lasting or now - self._since[t.pod, t.what[:20]] > STAYS_S]

    def _failure(self, trouble: Trouble) -> TargetError:
        tail = last_lines(self.api, trouble) if trouble.container else ()
        return TargetError(f"{trouble.pod} {trouble.what}.", trouble.remedy, unit=trouble.unit, log_tail=tail)

    def _late(self, names: list[str], patience_s: float) -> TargetError:
        unit = names[0] if names else "the lab"
        return TargetError(
            f"{', '.join(names)} not ready after {patience_s:g} s.",
            f"See: archlab logs {unit}, archlab status",
            unit=unit,
        )


def last_lines(api: Api, trouble: Trouble, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """What a container in trouble said last: the run that ended or, when there was only one, this one."""
    path = api.inside("pods", trouble.pod, namespace=trouble.namespace) + "/log"
    for previous in ("true", "false"):
        try:
            text = api.text(path, container=trouble.container, tailLines=str(lines), previous=previous)
        except ArchlabError:
            continue
        if text.strip():
            return tuple(text.splitlines()[-lines:])
    return ()
