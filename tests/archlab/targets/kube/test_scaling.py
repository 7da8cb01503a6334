"""Autoscaled pools: what is refused, and what a HorizontalPodAutoscaler says."""

from __future__ import annotations

from typing import Any

import pytest

from archlab.errors import UserError
from archlab.plan.inventory import inventory
from archlab.plan.layout import layout
from archlab.plan.loading import load_scenario
from archlab.plan.placement import Facts
from archlab.plan.resolve import resolve
from archlab.settings import scenarios_root
from archlab.spec.autoscaling import Autoscaling, Signal
from archlab.spec.devices import Gain
from archlab.spec.plan import Plan
from archlab.spec.scenario import ModelOverride, Overrides, TeamOverride
from archlab.spec.tenancy import Isolation
from archlab.targets.kube.scaling import autoscalers, check

CPU = Autoscaling(signal=Signal.CPU, target_milli=300, max_replicas=4)
HPA: dict[str, Any] = {
    "metadata": {"name": "online"},
    "spec": {
        "minReplicas": 2,
        "maxReplicas": 4,
        "metrics": [
            {
                "type": "ContainerResource",
                "containerResource": {
                    "name": "cpu",
                    "container": "server",
                    "target": {"type": "AverageValue", "averageValue": "300m"},
                },
            }
        ],
    },
    "status": {
        "currentReplicas": 3,
        "currentMetrics": [{"containerResource": {"name": "cpu", "current": {"averageValue": "1250m"}}}],
        "conditions": [
            {"type": "ScalingActive", "status": "True", "message": "the HPA was able to calculate"},
            {"type": "ScalingLimited", "status": "True", "message": "the desired replica count is more than allowed"},
        ],
    },
}
EVENT = {
    "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
    "involvedObject": {"kind": "HorizontalPodAutoscaler", "name": "online"},
    "lastTimestamp": "2026-01-01T00:01:00Z",
    "message": "New size: 3; reason: container resource cpu of server above target",
}


def planned(scaled: Autoscaling | None = None, **models: ModelOverride) -> Plan:
    scenario = resolve(load_scenario(scenarios_root() / "ten_models" / "scenario.yaml"), 1)[0]
    gain = Gain(gains=True, basis="measured", because="it multiplies matrices")
    facts = Facts(inventory(scenario.devices, ()), {"arrival-delay": gain})
    wanted = Overrides(models=models, autoscale={"online": scaled} if scaled else None)
    return layout("lab", scenario, 1, wanted, devices=facts)


def test_processor_time_must_be_measured_when_a_pool_is_first_scaled_on_it() -> None:
    with pytest.raises(UserError, match="no metrics-server"):
        check(planned(), planned(CPU), lambda: False)
    check(planned(), planned(CPU), lambda: True)
    check(planned(CPU), planned(CPU), lambda: False)
    check(planned(), planned(CPU.model_copy(update={"signal": Signal.CONCURRENCY})), lambda: False)


def test_pods_with_devices_are_not_scaled() -> None:
    held = ModelOverride(device="1g.5gb", replicas=1)
    with pytest.raises(UserError, match="Pods of online hold devices"):
        check(planned(CPU), planned(CPU, **{"arrival-delay": held}), lambda: True)


def in_own_pool(scaled: Autoscaling, memory_mib: int) -> Plan:
    """Revenue in servers of its own, of which its quota pays one for each 64 MiB."""
    scenario = resolve(load_scenario(scenarios_root() / "five_teams" / "scenario.yaml"), 1)[0]
    own = TeamOverride(isolation=Isolation.POOL, memory_bytes=memory_mib << 20)
    return layout("lab", scenario, 1, Overrides(teams={"revenue": own}, autoscale={"revenue": scaled}))


def test_a_pool_that_its_quota_never_lets_grow_is_not_scaled() -> None:
    plan = in_own_pool(CPU, 128)
    with pytest.raises(UserError, match="quota of team revenue lets it have no more") as refused:
        check(planned(), plan, lambda: True)
    assert "archlab quota set revenue memory MIB" in refused.value.remedy
    check(planned(), in_own_pool(CPU, 192), lambda: True)


def test_an_autoscaler_that_the_quota_bounds_says_who_can_raise_it() -> None:
    hpa = {**HPA, "metadata": {"name": "revenue"}, "spec": {**HPA["spec"], "maxReplicas": 3}}
    (found,) = autoscalers(in_own_pool(CPU, 192), [hpa], [])
    assert found.said.startswith("the desired replica count is more than allowed; the quota of team revenue")
    assert found.said.endswith("lets it have 3, an operator can raise it: archlab quota set revenue memory MIB")
    (free,) = autoscalers(in_own_pool(CPU, 512), [hpa], [])
    assert free.said == "the desired replica count is more than allowed"


def test_an_autoscaler_says_value_bounds_and_reasons() -> None:
    (found,) = autoscalers(planned(CPU), [HPA, {**HPA, "metadata": {"name": "someone-elses"}}], [EVENT])
    assert (found.value_milli, found.target_milli) == (1250, 300)
    assert (found.replicas, found.min_replicas, found.max_replicas) == (3, 2, 4)
    assert found.said == "the desired replica count is more than allowed"
    (event,) = found.events
    assert (event.replicas, event.why) == (3, "container resource cpu of server above target")


def test_before_anything_is_measured() -> None:
    fresh = {**HPA, "status": {}}
    (found,) = autoscalers(planned(CPU), [fresh], [])
    assert (found.value_milli, found.replicas, found.events) == (None, 0, ())
