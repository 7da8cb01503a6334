"""The kube target: a lab as a Helm release in a namespace of its own."""

from __future__ import annotations

import base64
import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import cached_property
from http.client import HTTPException
from typing import Any

from archlab import identity
from archlab.errors import (
    ArchlabError,
    LabStateError,
    NotFoundError,
    RefusedError,
    TargetError,
    UnavailableError,
)
from archlab.files import write_atomic
from archlab.settings import LabFolder, data_root
from archlab.spec.autoscaling import Scaling, Signal
from archlab.spec.job import Job, JobResult
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Endpoints, Observation, Plan, Progress
from archlab.spec.scenario import User
from archlab.targets import logs
from archlab.targets.base import OnEvent
from archlab.targets.kube import scaling
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.helm import Release
from archlab.targets.kube.jobs import Runner
from archlab.targets.kube.observation import observation
from archlab.targets.kube.pod_devices import added, check, check_offered, requests
from archlab.targets.kube.rollout import APPS, Rollout
from archlab.targets.kube.values import GATEWAY_PLAN, KEYS_SECRET, OWN_VALUES, desired_files, own_values, values
from archlab.targets.processes import JOB_PREFIX

KEYS = ("jwt.pem", "jwks.json", "release.pem", "release.pub.pem", "signing.pem", "trusted.pem")
REPLICA = User(name="replica", team="platform", roles=("replica",))
"""Whom pods speak as when they ask control for their files."""
REPLICA_LIFETIME_S = 30 * 24 * 3600
ADDRESS = "gateway-url"
"""File in the lab's folder that holds where its gateway answers."""
ANSWER_S = 20.0
FOLLOW_S = 20.0
GONE_S = 90.0
_PAUSE_S = 0.2
SECURITY = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}


class KubeTarget:
    """Carries a lab's plan out on a cluster.

    Args:
        folder: the lab's; desired state and keys are here, what it stores is in the cluster.
        place: which cluster, namespace and images.
    """

    on_this_machine = False

    def __init__(self, folder: LabFolder, place: KubePlace) -> None:
        self.folder = folder
        self.place = place

    def accept(self, before: Plan, after: Plan) -> None:
        """What pods can ask for and some node offers, and what can be scaled; see `archlab.targets.base.Target`."""
        check(after)
        scaling.check(before, after, measures_cpu=lambda: self._exists(scaling.METRICS))
        if new := added(before, after):
            check_offered(new, self._nodes(), after.scenario)

    def apply(self, plan: Plan, progress: Progress) -> None:
        """Converge to the plan; see `archlab.targets.base.Target`.

        Pods first, the gateway's routes when they are ready: no route leads where nobody answers.
        """
        self._namespace()
        self._keys()
        files = {**desired_files(self.folder), GATEWAY_PLAN: self._gateway_plan(plan)}
        for unit, asked in requests(plan).items():
            what = ", ".join(f"{count} {name}" for name, count in asked.items())
            progress("devices", f"each of {plan.unit(unit).replicas} pods of {unit} asks for {what}")
        progress("start", f"helm release {self._release.name} in namespace {self.place.namespace}")
        chart, own = data_root("helm") / "archlab", self.folder.root / OWN_VALUES
        self._release.upgrade(chart, values(plan, self.place, files), more=own)
        Rollout(self._api, self._release.name, progress).wait()
        self._locate()
        self._confirm(progress)
        self.share()
        self.route(plan)

    def route(self, plan: Plan) -> None:
        """Hand only the plan's routes to the gateways; see `archlab.targets.base.Target`."""
        self._hand_over({GATEWAY_PLAN: self._gateway_plan(plan)})
        deadline = time.monotonic() + FOLLOW_S
        while (behind := self._behind()) is None or behind:
            if time.monotonic() > deadline:
                who = ", ".join(behind or ("no gateway",))
                raise TargetError(
                    f"{who} did not take the plan over within {FOLLOW_S:g} s.",
                    "See: archlab logs gateway",
                    unit="gateway",
                )
            time.sleep(_PAUSE_S)

    def share(self) -> None:
        """Hand what the lab's folder says to control; see `archlab.targets.base.Target`."""
        self._hand_over(desired_files(self.folder))

    def destroy(self) -> None:
        """Take release and jobs away; volumes and keys stay; see `archlab.targets.base.Target`."""
        try:
            self._api.get(f"/api/v1/namespaces/{self.place.namespace}")
        except NotFoundError:
            return
        self._runner.clear()
        self._release.uninstall()
        self._until(lambda: not self._pods(), f"pods in namespace {self.place.namespace} do not stop")
        (self.folder.root / ADDRESS).unlink(missing_ok=True)

    def withdraw(self, replica: str) -> None:
        """Scale its deployment down by this very pod; see `archlab.targets.base.Target`."""
        unit, _, index = replica.rpartition("-")
        pods = self._named(unit, int(index)) if index.isdigit() else []
        if not pods:
            raise TargetError(f"There is no replica {replica} to take away.", unit=replica)
        name = str(pods[0]["metadata"]["name"])
        first = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1000"}}}
        self._api.patch(self._api.inside("pods", name), first)
        path = self._api.inside("deployments", unit, group=APPS)
        left = int(self._api.get(path)["spec"].get("replicas", 1)) - 1
        self._api.patch(path, {"spec": {"replicas": left}})
        self._until(lambda: all(p["metadata"]["name"] != name for p in self._pods()), f"{name} does not stop")

    def purge(self) -> None:
        """Delete the namespace and with it everything that the lab has in the cluster."""
        path = f"/api/v1/namespaces/{self.place.namespace}"
        self._api.delete(path)
        self._until(lambda: not self._exists(path), f"namespace {self.place.namespace} does not go away")

    def keep_start(self) -> None:
        """Keep the present state as the one that a reset returns to; see `archlab.targets.base.Target`."""
        self.run(Job(name="keep-start", module="archlab.targets.snapshot", args=("save",)), _ignore)

    def check_return(self) -> None:
        """Not an external database; see `archlab.targets.base.Target`."""
        if own_values(self.folder).get("registry", {}).get("database", {}).get("secret"):
            raise LabStateError(
                f"The registry of lab {self.folder.name} is in a database of yours, of which no copy was kept.",
                "Empty the database and make the lab anew: archlab down --purge, archlab up",
            )

    def return_to_start(self) -> None:
        """Put that state back; see `archlab.targets.base.Target`."""
        self.run(Job(name="return-to-start", module="archlab.targets.snapshot", args=("restore",)), _ignore)

    def observe(self) -> Observation:
        """Every pod as it is right now."""
        try:
            plan = Plan.model_validate_json((self.folder.root / "plan.json").read_bytes())
        except OSError:
            plan = None
        found = observation(plan, self._pods(), self._metrics())
        return found.model_copy(update={"scaling": self._scaling(plan)}) if plan else found

    def endpoints(self) -> Endpoints:
        """How to reach the lab from outside.

        Raises:
            LabStateError: it is not up.
        """
        if self.place.gateway:
            return Endpoints(gateway=self.place.gateway.rstrip("/"))
        try:
            return Endpoints(gateway=(self.folder.root / ADDRESS).read_text().strip())
        except OSError:
            raise LabStateError(
                f"Lab {self.folder.name} is not up.", f"Start it with: archlab up --lab {self.folder.name}"
            ) from None

    def run(self, job: Job, on_event: OnEvent) -> JobResult:
        """Run a job to its end; see `archlab.targets.base.Target`."""
        self._namespace()
        self._keys()
        return self._runner.run(job, on_event)

    def interrupt(self) -> None:
        """Ask the jobs that other threads of this process run to stop; see `archlab.targets.base.Target`."""
        self._runner.interrupt()

    def logs(self, unit: str, index: int | None = None, lines: int = 100, *, follow: bool = False) -> Iterator[str]:
        """A unit's output; see `archlab.targets.base.Target`. Replicas are `<unit>-<index>` or pods by their names."""
        if unit.startswith(JOB_PREFIX):
            path = self.folder.log / f"{unit}.log"
            if not path.exists():
                raise NotFoundError(f"There is no log of {unit!r}.", "Jobs leave theirs when they run.")
            return logs.read([path], lines, endless=follow)
        pods = self._named(unit, index)
        if not pods:
            known = sorted({str(p["metadata"]["labels"].get("archlab.dev/unit", "")) for p in self._pods()})
            raise NotFoundError(f"There is no pod of {unit!r}.", f"Known: {', '.join(known) or 'none'}.")
        return self._read(pods, lines, follow=follow)

    @cached_property
    def _api(self) -> Api:
        return Api(self.place)

    @cached_property
    def _release(self) -> Release:
        return Release(self.place, self.folder.name, self._api)

    @cached_property
    def _runner(self) -> Runner:
        try:
            outside = self.endpoints().gateway
        except LabStateError:
            outside = ""
        return Runner(self._api, self.place, self.folder, outside)

    def _namespace(self) -> None:
        name = self.place.namespace
        labels = {
            "app.kubernetes.io/part-of": "archlab",
            "app.kubernetes.io/managed-by": "archlab",
            "archlab.dev/lab": self.folder.name,
            "archlab.dev/team": "platform",
            **SECURITY,
        }
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        self._api.apply(f"/api/v1/namespaces/{name}", body)

    def _keys(self) -> None:
        """The lab's keys and the pods' token as a Secret; never in helm's values."""
        token = identity.mint(self.folder, REPLICA, lifetime_s=REPLICA_LIFETIME_S)
        data = {name: (self.folder.keys / name).read_bytes() for name in KEYS} | {"replica.token": token.encode()}
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEYS_SECRET, "labels": {"archlab.dev/lab": self.folder.name}},
            "type": "Opaque",
            "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
        }
        self._api.apply(self._api.inside("secrets", KEYS_SECRET), body)

    def _gateway_plan(self, plan: Plan) -> str:
        return plan.model_dump_json(indent=1)

    def _locate(self) -> None:
        """Find where the gateway answers: a node's address and the service's port on it."""
        if self.place.gateway:
            return
        port = self._api.get(self._api.inside("services", "gateway"))["spec"]["ports"][0].get("nodePort")
        if port is None:
            raise TargetError(
                "The gateway's service has no node port.",
                "Say where it answers: archlab up --gateway URL",
                unit="gateway",
            )
        nodes = self._api.items("/api/v1/nodes")
        addresses = [a for node in nodes for a in node["status"].get("addresses", ())]
        host = next((a["address"] for a in addresses if a["type"] == "InternalIP"), "127.0.0.1")
        write_atomic(self.folder.root / ADDRESS, f"http://{host}:{port}\n")

    def _confirm(self, progress: Progress) -> None:
        """Wait until control answers through the gateway.

        Raises:
            TargetError: nothing answers where the gateway should be.
        """
        url = self.endpoints().gateway
        deadline, said = time.monotonic() + ANSWER_S, ""
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"{url}/healthz", timeout=3) as answer:  # noqa: S310
                    answer.read()
            except (urllib.error.URLError, HTTPException, OSError) as error:
                said = str(getattr(error, "reason", error))
                time.sleep(_PAUSE_S)
            else:
                progress("start", f"all pods answer behind {url}")
                return
        raise TargetError(
            f"All pods are ready, but nothing answers at {url} ({said}).",
            "A node's address may be out of reach: map a node port to this machine (kind: extraPortMappings), and say "
            "so: archlab up --gateway http://127.0.0.1:PORT",
            unit="gateway",
        )

    def _behind(self) -> list[str] | None:
        """Gateways that don't have the newest plan in force; None when none has asked yet.

        Raises:
            TargetError: one refuses it.
        """
        found = self._control("GET", "/sync/gateway/applied")
        ready = {
            p["metadata"]["name"] for p in self._named("gateway", None) if not p["metadata"].get("deletionTimestamp")
        }
        asked = [r for r in found["replicas"] if r["replica"] in ready]
        for replica in asked:
            if replica["error"]:
                raise TargetError(replica["error"], "See: archlab logs gateway", unit="gateway")
        if len(asked) < len(ready) or not asked:
            return None
        return [r["replica"] for r in asked if r["applied"] != found["digest"]]

    def _hand_over(self, files: dict[str, str]) -> None:
        self._control("POST", "/desired", {"files": files})

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask control through the gateway, as the platform."""
        import json

        token = identity.mint(self.folder, identity.PLATFORM)
        url = f"{self.endpoints().gateway}/control{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            kind = RefusedError if error.code == 403 else UnavailableError
            raise kind(
                f"Control answers {error.code} to {path}: {error.read().decode(errors='replace')[:300]}"
            ) from None
        except (urllib.error.URLError, HTTPException, OSError) as error:
            raise UnavailableError(
                f"Control does not answer at {url} ({getattr(error, 'reason', error)}).", "See: archlab status"
            ) from None

    def _nodes(self) -> list[Object] | None:
        """None for a user who may not look at them."""
        try:
            return self._api.items("/api/v1/nodes")
        except RefusedError:
            return None

    def _pods(self) -> list[Object]:
        return self._api.items(self._api.inside("pods"))

    def _metrics(self) -> list[Object]:
        """What metrics-server measured; nothing where a cluster has none."""
        try:
            return self._api.items(self._api.inside("pods", group="metrics.k8s.io/v1beta1"))
        except ArchlabError:
            return []

    def _scaling(self, plan: Plan) -> tuple[Scaling, ...]:
        """Autoscaled units, by whoever scales them; without those that can't be asked now."""
        wanted = {unit.autoscaling.signal for unit in plan.units if unit.autoscaling}
        found: list[Scaling] = []
        if Signal.CPU in wanted:
            hpas = self._api.items(self._api.inside("horizontalpodautoscalers", group=scaling.GROUP))
            events = self._api.items(self._api.inside("events"), fieldSelector=scaling.EVENTS)
            found += scaling.autoscalers(plan, hpas, events)
        if Signal.CONCURRENCY in wanted:
            with contextlib.suppress(UnavailableError):
                found += [Scaling.model_validate(entry) for entry in self._control("GET", "/scaling")]
        return tuple(found)

    def _named(self, unit: str, index: int | None) -> list[Object]:
        """Pods of a unit, one of them, or the pod of that name."""
        ordered = sorted(self._pods(), key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        if exact := [p for p in ordered if p["metadata"]["name"] == unit]:
            return exact
        of = [p for p in ordered if p["metadata"]["labels"].get("archlab.dev/unit") == unit]
        if not of and index is None:
            stem, _, number = unit.rpartition("-")
            return self._named(stem, int(number)) if stem and number.isdigit() else []
        return of if index is None else of[index : index + 1]

    def _read(self, pods: list[Object], lines: int, *, follow: bool) -> Iterator[str]:
        """Several pods one after the other; one is followed."""
        for pod in pods:
            name = pod["metadata"]["name"]
            main = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container")
            query = {"tailLines": str(lines), "follow": "true" if follow and len(pods) == 1 else "false"}
            mark = f"{name}: " if len(pods) > 1 else ""
            path = self._api.inside("pods", name) + "/log"
            wanted = {**query, "container": main} if main else query
            yield from (mark + line for line in self._api.lines(path, **wanted))

    def _exists(self, path: str) -> bool:
        try:
            self._api.get(path)
        except NotFoundError:
            return False
        return True

    def _until(self, condition: Any, failure: str) -> None:
        deadline = time.monotonic() + GONE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TargetError(f"After {GONE_S:g} s {failure}.", f"See: kubectl get all -n {self.place.namespace}")
            time.sleep(_PAUSE_S)


def _ignore(_event: dict[str, Any]) -> None:
    """Nobody watches."""
