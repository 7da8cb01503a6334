"""The kube target: a lab as a Helm release in a namespace of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from archlab.errors import (
    ArchlabError,
    LabStateError,
    NotFoundError,
    RefusedError,
    TargetError,
    UnavailableError,
    UserError,
)
from archlab.files import write_atomic
from archlab.settings import LabFolder, data_root
from archlab.spec.autoscaling import Scaling, Signal
from archlab.spec.job import Job, JobResult
from archlab.spec.lab import KubePlace
from archlab.spec.plan import Endpoints, Observation, Plan, Progress
from archlab.targets import logs
from archlab.targets.base import OnEvent
from archlab.targets.kube import scaling, tenants
from archlab.targets.kube.api import Api, Object
from archlab.targets.kube.front import address, ask_control, confirm
from archlab.targets.kube.helm import Release, merge
from archlab.targets.kube.jobs import Runner
from archlab.targets.kube.namespaces import PAUSE_S, Namespaces, until
from archlab.targets.kube.observation import observation
from archlab.targets.kube.pod_devices import added, check, check_offered, requests
from archlab.targets.kube.rollout import APPS, Rollout
from archlab.targets.kube.values import GATEWAY_PLAN, OWN_VALUES, chosen, desired_files, own_values, values
from archlab.targets.processes import JOB_PREFIX
from archlab.targets.regional import RegionPair

ADDRESS = "gateway-url"
"""File in the lab's folder that holds where its gateway answers."""
FOLLOW_S = 20.0


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
        tenants.check(after)
        tenants.check_members(after)
        scaling.check(before, after, measures_cpu=lambda: self._api.exists(scaling.METRICS))
        if new := added(before, after):
            check_offered(new, self._nodes(), after.scenario)

    def apply(self, plan: Plan, progress: Progress) -> None:
        """Converge to the plan; see `archlab.targets.base.Target`.

        Pods first, the gateway's routes when they are ready: no route leads where nobody answers. Servers that the plan
        has no longer stay until then.
        """
        tenants.check_members(plan)
        self._namespaces.make(plan)
        files = {**desired_files(self.folder), GATEWAY_PLAN: self._gateway_plan(plan)}
        for unit, asked in requests(plan).items():
            what = ", ".join(f"{count} {name}" for name, count in asked.items())
            progress("devices", f"each of {plan.unit(unit).replicas} pods of {unit} asks for {what}")
        progress("start", f"helm release {self._release.name} in namespace {self.place.namespace}")
        wanted = values(plan, self.place, files, own_values(self.folder))
        leaving = self._leaving(wanted)
        self._upgrade(merge(wanted, leaving))
        least = {unit.name: unit.replicas for unit in plan.units if unit.autoscaling}
        Rollout(self._api, self._release.name, progress, self._namespaces.of(plan), least).wait()
        self._locate()
        confirm(self.endpoints().gateway, progress)
        self.share()
        self.route(plan)
        if leaving:
            progress("stop", ", ".join(leaving["units"]))
            self._upgrade(wanted)
        self._namespaces.prune(plan)

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
            time.sleep(PAUSE_S)

    def share(self) -> None:
        """Hand what the lab's folder says to control; see `archlab.targets.base.Target`."""
        self._hand_over(desired_files(self.folder))

    def bound(self, plan: Plan) -> None:
        """The ResourceQuotas of teams, with the release that they are part of; see `archlab.targets.base.Target`."""
        files = {**desired_files(self.folder), GATEWAY_PLAN: self._gateway_plan(plan)}
        self._upgrade(values(plan, self.place, files, own_values(self.folder)))

    def destroy(self) -> None:
        """Take release, jobs and teams' namespaces away; volumes and keys stay; see `archlab.targets.base.Target`."""
        there = self._namespaces.is_own()
        if there:
            self._runner.clear()
            self._release.uninstall()
        leaving = self._namespaces.delete_teams()
        if there:
            self._until(lambda: not self._own_pods(), f"pods in namespace {self.place.namespace} do not stop")
        self._namespaces.await_gone(leaving)
        (self.folder.root / ADDRESS).unlink(missing_ok=True)

    def withdraw(self, replica: str) -> None:
        """Scale its deployment down by this very pod; see `archlab.targets.base.Target`."""
        unit, _, index = replica.rpartition("-")
        pods = self._named(unit, int(index)) if index.isdigit() else []
        if not pods:
            raise TargetError(f"There is no replica {replica} to take away.", unit=replica)
        name, there = str(pods[0]["metadata"]["name"]), str(pods[0]["metadata"]["namespace"])
        first = {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1000"}}}
        self._api.patch(self._api.inside("pods", name, namespace=there), first)
        path = self._api.inside("deployments", unit, group=APPS, namespace=there)
        left = int(self._api.get(path)["spec"].get("replicas", 1)) - 1
        self._api.patch(path, {"spec": {"replicas": left}})
        self._until(lambda: all(p["metadata"]["name"] != name for p in self._pods()), f"{name} does not stop")

    def regions(self, plan: Plan) -> RegionPair:
        """There are none; see `archlab.targets.base.Target`."""
        raise UserError(f"Lab {self.folder.name} is on a cluster: labs in two regions run on this machine only.")

    def purge(self) -> None:
        """Delete the namespaces and with them everything that the lab has in the cluster, its volumes too.

        A namespace that the lab was refused, because it is another's, stays as it is.
        """
        teams, own = self._namespaces.delete_teams(), self._namespaces.delete_own()
        self._namespaces.await_gone([*teams, *own])
        if not own:
            return
        self._until(
            lambda: not self._deletable_volumes(),
            f"volumes of namespace {self.place.namespace} are not deleted",
            see="kubectl get persistentvolumes",
        )

    def keep_start(self) -> None:
        """Keep the present state as the one that a reset returns to; see `archlab.targets.base.Target`."""
        self.run(Job(name="keep-start", module="archlab.targets.snapshot", args=("save",)), _ignore)

    def check_return(self) -> None:
        """Neither an external database nor a bucket; see `archlab.targets.base.Target`."""
        own = own_values(self.folder)
        for name, what in (("database", "database"), ("artifacts", "bucket")):
            if chosen(own, "registry", name).get("secret"):
                raise LabStateError(
                    f"The registry of lab {self.folder.name} is in a {what} of yours, of which no copy was kept.",
                    f"Empty the {what} and make the lab anew: archlab down --purge, archlab up",
                )

    def return_to_start(self) -> None:
        """Put that state back; see `archlab.targets.base.Target`."""
        self.run(Job(name="return-to-start", module="archlab.targets.snapshot", args=("restore",)), _ignore)

    def observe(self) -> Observation:
        """Every pod as it is right now."""
        plan, pods = self._plan(), self._pods()
        deployments = self._items("deployments", group=APPS)
        found = observation(plan, pods, self._metrics(), deployments, home=self.place.namespace)
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
        self._namespaces.make_own()
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

    @cached_property
    def _namespaces(self) -> Namespaces:
        return Namespaces(self._api, self.place.namespace, self.folder)

    def _plan(self) -> Plan | None:
        """The plan last applied."""
        try:
            return Plan.model_validate_json(self.folder.plan.read_bytes())
        except OSError:
            return None

    def _upgrade(self, wanted: dict[str, Any]) -> None:
        self._release.upgrade(data_root("helm") / "archlab", wanted, more=self.folder.root / OWN_VALUES)

    def _leaving(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Values of servers that run and are not wanted any longer, with the teams that they belong to."""
        held = self._release.values()
        units = {name: unit for name, unit in chosen(held, "units").items() if name not in wanted["units"]}
        teams = {unit.get("team") for unit in units.values()}
        kept = {name: team for name, team in chosen(held, "teams").items() if name in teams}
        return {"units": units, "teams": {**kept, **chosen(wanted, "teams")}} if units else {}

    def _gateway_plan(self, plan: Plan) -> str:
        return plan.model_dump_json(indent=1)

    def _locate(self) -> None:
        """Find where the gateway answers: a node's address and the service's port on it."""
        if self.place.gateway:
            return
        write_atomic(self.folder.root / ADDRESS, f"{address(self._api, 'gateway')}\n")

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
        return ask_control(self.folder, self.endpoints().gateway, method, path, body)

    def _nodes(self) -> list[Object] | None:
        """None for a user who may not look at them."""
        try:
            return self._api.items("/api/v1/nodes")
        except RefusedError:
            return None

    def _items(self, kind: str, *, group: str = "", **query: str) -> list[Object]:
        """Of all namespaces of the lab."""
        paths = (self._api.inside(kind, group=group, namespace=name) for name in self._namespaces.of(self._plan()))
        return [item for path in paths for item in self._api.items(path, **query)]

    def _own_pods(self) -> list[Object]:
        return self._api.items(self._api.inside("pods"))

    def _pods(self) -> list[Object]:
        return self._items("pods")

    def _metrics(self) -> list[Object]:
        """What metrics-server measured; nothing where a cluster has none."""
        try:
            return self._items("pods", group="metrics.k8s.io/v1beta1")
        except ArchlabError:
            return []

    def _scaling(self, plan: Plan) -> tuple[Scaling, ...]:
        """Autoscaled units, by whoever scales them; without those that can't be asked now."""
        wanted = {unit.autoscaling.signal for unit in plan.units if unit.autoscaling}
        found: list[Scaling] = []
        if Signal.CPU in wanted:
            hpas = self._items("horizontalpodautoscalers", group=scaling.GROUP)
            events = self._items("events", fieldSelector=scaling.EVENTS)
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
            name, there = pod["metadata"]["name"], pod["metadata"]["namespace"]
            main = pod["metadata"].get("annotations", {}).get("kubectl.kubernetes.io/default-container")
            query = {"tailLines": str(lines), "follow": "true" if follow and len(pods) == 1 else "false"}
            mark = f"{name}: " if len(pods) > 1 else ""
            path = self._api.inside("pods", name, namespace=there) + "/log"
            wanted = {**query, "container": main} if main else query
            yield from (mark + line for line in self._api.lines(path, **wanted))

    def _deletable_volumes(self) -> list[str]:
        """Volumes that the cluster deletes once their namespace is gone; none without the right to see them."""
        try:
            volumes = self._api.items("/api/v1/persistentvolumes")
        except RefusedError:
            return []
        return [
            volume["metadata"]["name"]
            for volume in volumes
            if volume["spec"].get("claimRef", {}).get("namespace") == self.place.namespace
            and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
        ]

    def _until(self, condition: Callable[[], bool], failure: str, see: str = "") -> None:
        until(condition, failure, see or f"kubectl get all -n {self.place.namespace}")


def _ignore(_event: dict[str, Any]) -> None:
    """Nobody watches."""
