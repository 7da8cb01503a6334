"""What a region on a cluster runs on, as it is reached and broken from outside: its namespace.

A region is killed by a fence and the deletion of its pod. The fence is a quota of no pods: nothing is made there,
whoever tries. Volumes stay for the way back.
"""

from __future__ import annotations

import time
from typing import Any

from archlab.drills.calls import PATH, TOKEN, Call, Reply
from archlab.drills.region import Strike
from archlab.drills.remote import QUICK_S
from archlab.errors import ArchlabError, RefusedError, TargetError, UnavailableError
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.namespaces import until

DRILL, FENCE = "archlab.dev/drill", "fence"
GONE_S, FENCED_S = 60.0, 10.0
GRACE_S = "1"
"""The agent ends at once. At 0 the API forgets a pod that may still run: nobody could confirm that it is dead."""
_PAUSE_S = 0.05


class PodAgent:
    """The way to a region's agent through the API server: it works with any kubeconfig that may use it."""

    def __init__(self, api: Api, namespace: str, service: str, token: str) -> None:
        self._api, self._token = api, token
        self._path = f"/api/v1/namespaces/{namespace}/services/http:{service}:agent/proxy{PATH}"

    def call(self, what: str, within_s: float, **arguments: Any) -> Any:
        """What it answers; see `archlab.drills.remote.Agent`.

        Raises:
            RefusedError: this kubeconfig may not reach services through the API server.
        """
        body = Call(what=what, arguments=arguments).model_dump(mode="json")
        try:
            answer = self._api.ask(self._path, body, {TOKEN: self._token}, within_s)
        except RefusedError:
            raise
        except ArchlabError as error:
            raise UnavailableError(f"The region's agent does not answer: {error.message}") from None
        return Reply.model_validate(answer).unpack()


class Namespace:
    """What a region runs on; see `archlab.drills.remote.Host`."""

    def __init__(self, api: Api, namespace: str, agent: PodAgent) -> None:
        self._api, self._namespace, self._agent = api, namespace, agent

    def strike(self) -> Strike:
        """At its pods: the fence stands when this returns, and touches nothing that runs."""
        self._raise_fence("it is killed")
        return Strike("its pod is deleted, and its namespace takes no other; its lines are dead", self._delete_pods)

    def fence(self, reason: str) -> None:
        """No pod is made there from now on, and those that run are dead when this returns.

        Raises:
            TargetError: one is not confirmed to be dead in time: its node may be out of reach, and it may run on.
        """
        self._raise_fence(reason)
        deadline = time.monotonic() + GONE_S
        while left := [pod for pod in self._pods() if runs(pod)]:
            # one may have been made in the moment before the fence was in force
            if not all(pod["metadata"].get("deletionTimestamp") for pod in left):
                self._delete_pods()
            if time.monotonic() > deadline:
                raise TargetError(
                    f"After {GONE_S:g} s nobody confirms that the pod in {self._namespace} is dead.",
                    f"See: {self._see('pods')}",
                )
            time.sleep(_PAUSE_S)

    def revive(self) -> bool:
        """Lower the fence, if there is one, and wait for a new pod's agent."""
        fence = self._api.inside("resourcequotas", FENCE, namespace=self._namespace)
        if not self._api.exists(fence):
            return False
        until(lambda: not self._pods(), f"pods in {self._namespace} do not go away", self._see("pods"))
        self._api.delete(fence)
        # whoever makes pods tries ever more seldom when it is refused: a new template makes it try now
        anew = {"metadata": {"annotations": {f"{DRILL}-revived": str(time.time_ns())}}}
        path = self._api.inside("deployments", "region", group="apps/v1", namespace=self._namespace)
        self._api.patch(path, {"spec": {"template": anew}})
        until(self._answers, f"the agent in {self._namespace} does not answer", self._see("events"))
        return True

    def _answers(self) -> bool:
        try:
            self._agent.call("words", QUICK_S, process="none")
        except UnavailableError:
            return False
        return True

    def _raise_fence(self, reason: str) -> None:
        """Return when it is in force: the API server goes by what its controller has counted.

        Raises:
            TargetError: it does not come into force.
        """
        path = self._api.inside("resourcequotas", FENCE, namespace=self._namespace)
        metadata: Object = {"name": FENCE, "annotations": {f"{DRILL}-reason": reason}}
        body: Object = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": metadata,
            "spec": {"hard": {"pods": "0"}},
        }
        self._api.apply(path, body)
        deadline = time.monotonic() + FENCED_S
        while self._api.get(path).get("status", {}).get("hard") != {"pods": "0"}:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"The fence around {self._namespace} is not in force after {FENCED_S:g} s.",
                    f"See: {self._see('resourcequota')}",
                )
            time.sleep(_PAUSE_S)

    def _delete_pods(self) -> None:
        self._api.delete(self._api.inside("pods", namespace=self._namespace), gracePeriodSeconds=GRACE_S)

    def _see(self, what: str) -> str:
        return f"kubectl get {what} -n {self._namespace} -o wide"

    def _pods(self) -> list[Object]:
        return self._api.items(self._api.inside("pods", namespace=self._namespace))


def runs(pod: Object) -> bool:
    """Whether a pod may have a process, or get one. One that is to go and was never placed on a node has none."""
    if not pod["metadata"].get("deletionTimestamp"):
        return True
    if not pod["spec"].get("nodeName"):
        return False
    states = pod["status"].get("containerStatuses", ())
    return not (states and all("terminated" in container["state"] for container in states))
