"""Who a lab is: the contents of lab.json."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from .base import Slug, Spec, UtcTime


class LabState(StrEnum):
    """How far a lab's making got."""

    SEEDING = "seeding"
    READY = "ready"


class KubePlace(Spec):
    """Which cluster a lab is on, and what its pods are made of."""

    kubeconfig: str
    """Path of the file."""
    context: str = ""
    """Empty: the file's current one."""
    namespace: Slug
    image: str
    """Of gateway, registry, control and jobs."""
    serving_image: str
    gateway: str = ""
    """Base URL by which the gateway is reached; empty: a node's address and the service's node port."""
    node_port: int = 0
    """A fixed node port; 0 lets Kubernetes choose."""


class LabIdentity(Spec):
    """Name, scenario and seed of a lab, and where its gateway listens."""

    format: Literal["archlab/lab/v1"] = "archlab/lab/v1"
    lab: Slug
    scenario: Slug
    seed: int
    code_version: str
    gateway_port: int
    """On this machine; 0 for a lab on a cluster."""
    kube: KubePlace | None = None
    """None for a lab on this machine."""
    state: LabState
    created: UtcTime
