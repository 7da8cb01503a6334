"""`archlab cluster`: what a Kubernetes cluster has once for all labs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, console, emit_json, err, table

if TYPE_CHECKING:
    from archlab.targets.kube.cluster_state import ClusterState

ContextOption = Annotated[
    str | None, typer.Option("--context", help="The kubeconfig's context; its current one by default.")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What a Kubernetes cluster has once for all labs.", no_args_is_help=True)
    group.command("install")(install)
    group.command("status")(status)
    group.command("remove")(remove)
    group.command("health")(health)
    app.add_typer(group, name="cluster")


def install(
    devices: Annotated[
        str | None, typer.Option("--devices", help="A scenario whose devices every node gets; the chart's by default.")
    ] = None,
    image: Annotated[
        str | None, typer.Option("--image", help="The device plugin's; ARCHLAB_SERVING_IMAGE, else the chart's.")
    ] = None,
    values: Annotated[
        list[Path] | None, typer.Option("--values", "-f", help="A file of the chart's values; may be repeated.")
    ] = None,
    namespace: Annotated[str, typer.Option(help="Where the device plugin runs.")] = "archlab-system",
    context: ContextOption = None,
) -> None:
    """Install or change it: emulated devices, admission policies, priority classes. Again is harmless."""
    from archlab.cli.progress import Steps
    from archlab.targets.kube.cluster import Cluster

    chosen = [*(_read(path) for path in values or ()), *_devices(devices), *_image(image)]
    cluster = Cluster(context, namespace)
    with Steps("Installing") as steps:
        state = cluster.install(chosen, steps)
    err.print(f"[green]The cluster is ready[/] after {steps.seconds:.0f} s.")
    _show(state)


def status(context: ContextOption = None, as_json: JsonOption = False) -> None:
    """The release, the devices on every node and who advertises them, policies and the namespaces they watch."""
    from dataclasses import asdict

    from archlab.targets.kube.cluster import Cluster

    state = Cluster(context).state()
    if as_json:
        emit_json(asdict(state))
        return
    _show(state)


def remove(context: ContextOption = None) -> None:
    """Take it away, marks on nodes included. Labs stay; their pods keep the devices that they hold."""
    from archlab.cli.progress import Steps
    from archlab.targets.kube.cluster import Cluster

    cluster = Cluster(context)
    with Steps("Removing") as steps:
        was_there = cluster.remove(steps)
    console.print("It is gone." if was_there else "It is not installed: nothing to remove.")


def health(
    node: Annotated[str, typer.Argument(help="Name of a node; see: archlab cluster status")],
    unhealthy: Annotated[
        list[str] | None, typer.Argument(help="Devices or cards that are unhealthy; none makes all healthy.")
    ] = None,
    context: ContextOption = None,
) -> None:
    """Make emulated devices of a node unhealthy, all others healthy."""
    from archlab.targets.kube.cluster import Cluster

    names = ",".join(unhealthy or ())
    Cluster(context).mark(node, names)
    console.print(f"Unhealthy on {node}: {names or 'none'}. The node says so within a few seconds.")


def _show(state: ClusterState) -> None:
    if state.release is None:
        console.print("archlab-cluster is not installed here. Install it: archlab cluster install")
    else:
        release = state.release
        console.print(f"{release.chart} in {release.namespace}, revision {release.revision}, {release.status}")
    rows = [
        (d.node, d.resource, d.capacity, d.allocatable, d.requested, _ADVERTISED[d.advertised], d.unhealthy)
        for d in state.devices
    ]
    columns = ("node", "resource", "there", "healthy", "taken", "advertised", "marked unhealthy")
    console.print(table("Devices", columns, rows, right=columns[2:5]))
    for pod in state.waiting:
        console.print(f"waits for a device: {pod}")
    console.print(f"Admission policies: {', '.join(state.policies) or 'none'}")
    console.print(f"They watch: {', '.join(state.namespaces) or 'no namespace yet'}")


_ADVERTISED = {"emulated": "emulated", "another": "by another plugin", "withdrawn": "withdrawn"}


def _read(path: Path) -> dict[str, Any]:
    import yaml

    from archlab.errors import SpecError

    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} can't be read: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise SpecError(f"{path} holds no values.", "They are described in helm/archlab-cluster/values.yaml.")
    return found


def _devices(scenario: str | None) -> list[dict[str, Any]]:
    from archlab.errors import UserError
    from archlab.plan.loading import load_scenario, scenario_folder
    from archlab.targets.kube.cluster_state import device_values

    if scenario is None:
        return []
    declared = load_scenario(scenario_folder(scenario) / "scenario.yaml").devices
    if not declared:
        raise UserError(f"The scenario {scenario} declares no devices.", "Leave --devices out, or choose another.")
    return [device_values(declared)]


def _image(reference: str | None) -> list[dict[str, Any]]:
    from archlab.targets.kube.images import images

    reference = reference or images()[1]
    repository, _, digest = reference.partition("@")
    head, _, tag = repository.rpartition(":")
    if head and "/" not in tag:
        repository = head
    else:
        tag = ""
    return [{"image": {"repository": repository, "tag": tag, "digest": digest}}]
