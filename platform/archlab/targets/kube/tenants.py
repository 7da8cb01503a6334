"""Teams' namespaces on a cluster: what they are called, and what each may hold at most. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archlab.errors import PlacementError, UserError
from archlab.spec.plan import Plan, Role, Tenant
from archlab.targets.kube.observation import cpu_cores, memory_bytes
from archlab.targets.kube.pod_devices import names, requests

LONGEST_NAME = 63
"""Of a namespace (RFC 1123, DNS label)."""
MIB = 1 << 20


def namespace(lab: str, team: str) -> str:
    """A team's, beside the namespace of the lab.

    Raises:
        UserError: the name would be too long.
    """
    if len(name := f"{lab}-{team}") > LONGEST_NAME:
        raise UserError(
            f"The namespace {name} would have {len(name)} characters, a cluster takes {LONGEST_NAME}.",
            "Choose a shorter name: archlab up --lab NAME",
        )
    return name


TAKEN = {
    "default": "Kubernetes makes one of that name in every namespace",
    "workload": "the team's servers run as that one",
}
"""Names of ServiceAccounts that no member of a team can have."""


def check_members(plan: Plan) -> None:
    """Let a plan pass only if every member of a team can have a ServiceAccount of its name.

    Raises:
        UserError: the namespace has one for something else; says who.
    """
    for tenant in plan.tenants:
        for name in tenant.members.keys() & TAKEN.keys():
            raise UserError(
                f"On a cluster the user {name!r} of team {tenant.team} would be a ServiceAccount of that name in the "
                f"team's namespace, and {TAKEN[name]}: it would get the user's rights.",
                "Call the user something else in scenario.yaml.",
            )


def team_values(plan: Plan, chart: Mapping[str, Any]) -> dict[str, Any]:
    """The chart's value `teams`.

    Args:
        plan: whose tenants they are.
        chart: all other values: how much a server's pod asks for.
    """
    check_members(plan)
    return {
        tenant.team: {
            "members": {name: list(roles) for name, roles in tenant.members.items()},
            "quota": quota(tenant, plan, chart),
        }
        for tenant in plan.tenants
    }


def quota(tenant: Tenant, plan: Plan, chart: Mapping[str, Any]) -> dict[str, str]:
    """`hard` of a team's ResourceQuota; empty for a team without limits.

    Kubernetes counts what pods ask for, the server itself included; a team's quota of memory counts its models. So the
    pods that it is enough for are counted, and one more: a rollout starts the new pod before the old one stops.
    """
    hard: dict[str, str] = {}
    if tenant.replicas is not None:
        pods = tenant.replicas + 1
        millicores, size = _asked(tenant.team, plan, chart)
        hard = {
            "pods": str(pods),
            "requests.cpu": f"{pods * millicores}m",
            "requests.memory": f"{-(-pods * size // MIB)}Mi",
        }
    if tenant.devices is not None:
        hard |= {f"requests.{name}": str(tenant.devices) for name in names(plan)}
    return hard


def check(plan: Plan) -> None:
    """Let a plan pass only if each team's pods may hold the devices that they would ask for.

    Raises:
        PlacementError: a quota would refuse them; says how many, and what can be done.
    """
    asked = requests(plan)
    bounds = {tenant.team: tenant.devices for tenant in plan.tenants}
    for unit in plan.units:
        most = bounds.get(unit.team)
        for name, count in asked.get(unit.name, {}).items():
            if most is not None and (wanted := count * unit.replicas) > most:
                raise PlacementError(
                    f"Each of the {unit.replicas} pods of {unit.name} would hold {count} {name}: {wanted} in all, and "
                    f"{unit.team} may hold {most}. Nothing was changed.",
                    f"Who can raise it: archlab quota. In a shared pool it is the platform that holds the devices: "
                    f"archlab isolation use share --team {unit.team}",
                )


def _asked(team: str, plan: Plan, chart: Mapping[str, Any]) -> tuple[int, int]:
    """Milli-cores and bytes that each pod of a team's servers asks for, the sidecar's included."""
    unit = next((u for u in plan.units if u.role is Role.SERVER and u.team == team), None)
    kind = "bentoResources" if unit and unit.runtime == "bento" else "resources"
    try:
        own = chart.get("units", {}).get(team, {}).get("resources")
        parts = [part["requests"] for part in (own or chart["servers"][kind], chart["sidecar"]["resources"])]
        millicores = sum(round(1000 * cpu_cores(str(part["cpu"]))) for part in parts)
        return millicores, sum(memory_bytes(str(part["memory"])) for part in parts)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            "What servers ask for can't be read from the values of the chart.",
            "See servers.resources and sidecar.resources: helm show values helm/archlab, and the lab's values.yaml.",
        ) from None
