"""Where a new lab goes: onto this machine, or which cluster, namespace and images."""

from __future__ import annotations

from archlab.errors import UsageError
from archlab.lab.lifecycle import usual_name
from archlab.spec.lab import KubePlace

TARGETS = ("local", "kube")


def place(
    scenario: str | None,
    lab: str | None,
    target: str | None,
    *,
    context: str = "",
    gateway: str = "",
    node_port: int | None = None,
) -> KubePlace | None:
    """The place of a lab on a cluster; None on this machine, or to leave a lab that exists where it is.

    Raises:
        UsageError: no such target, or a cluster's option without it.
        UserError: no kubeconfig.
    """
    if target not in (None, *TARGETS):
        raise UsageError(f"There is no target {target!r}.", f"Targets: {', '.join(TARGETS)}.")
    if target != "kube":
        if context or gateway:
            raise UsageError("--context and --gateway are for labs on a cluster.", "Add: --target kube")
        return None
    from archlab.targets.kube.api import kubeconfig
    from archlab.targets.kube.images import images

    image, serving = images()
    return KubePlace(
        kubeconfig=kubeconfig(),
        context=context,
        namespace=usual_name(scenario, lab),
        image=image,
        serving_image=serving,
        gateway=gateway,
        node_port=node_port or 0,
    )
