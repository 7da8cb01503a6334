"""Whether a cluster would admit workloads: manifests in, one decision per workload out, nothing deployed.

The rules are `policies/admission`; the cluster chart's ValidatingAdmissionPolicies say the same in CEL. Both look at
the pods that a workload makes, whatever its kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from archlab.errors import SpecError
from archlab.policy.answers import decision_from, denial
from archlab.policy.bundle import ENTRY, PolicyBundle
from archlab.policy.interpreter import Program, RegoError, engine_name
from archlab.settings import data_root
from archlab.spec.base import Spec
from archlab.spec.policy import Decision, PolicyResource, Query, Subject

ACTION = "admission/deploy"
MAX_BYTES = 16 << 20
POD_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Kinds that make pods, and where each keeps its pod template."""


class AdmissionSettings(Spec):
    """What a cluster requires; the cluster chart's values `admission.…` of the same names."""

    allowed_images: tuple[str, ...] = Field(alias="allowedImages", min_length=1)
    required_limits: tuple[str, ...] = Field(alias="requiredLimits", min_length=1)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods."""

    kind: str
    name: str
    namespace: str
    pod: dict[str, Any]
    """Its pod template: `metadata` and `spec`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was decided about one workload."""

    workload: Workload
    decision: Decision


def settings_from(values: Path | None = None) -> AdmissionSettings:
    """The cluster chart's settings, changed by a file of values where one is given.

    Raises:
        SpecError: the file is not what it should be.
    """
    merged: dict[str, Any] = {}
    for path in (data_root("helm") / "archlab-cluster" / "values.yaml", values):
        if path is not None:
            merged |= _admission_of(path)
    known = {field.alias for field in AdmissionSettings.model_fields.values()}
    try:
        return AdmissionSettings.model_validate({name: value for name, value in merged.items() if name in known})
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, ("admission", *fault["loc"])))
        raise SpecError(f"{values}: {place}: {fault['msg']}.", "See helm/archlab-cluster/values.yaml.") from None


def read_manifests(text: str, name: str) -> list[Workload]:
    """The workloads of a stream of YAML documents, lists unfolded; whatever makes no pods is left out.

    Raises:
        SpecError: it is not YAML, or too much of it.
    """
    if len(text) > MAX_BYTES:
        raise SpecError(f"{name}: more than {MAX_BYTES >> 20} MiB of manifests.", "Check it in parts.")
    try:
        documents = list(yaml.safe_load_all(text))
    except yaml.YAMLError as error:
        raise SpecError(f"{name} is not YAML: {' '.join(str(error).split())}", "Is it a rendered manifest?") from None
    return list(workloads(documents))


def workloads(documents: Iterable[Any]) -> Iterator[Workload]:
    """The workloads among Kubernetes objects."""
    for document in documents:
        if not isinstance(document, dict):
            continue
        kind, items = str(document.get("kind")), document.get("items")
        if kind.endswith("List") and isinstance(items, list):
            yield from workloads(items)
        elif kind in POD_TEMPLATES:
            yield _workload(kind, _without_nulls(document))


class Admission:
    """Decides about workloads with a bundle's rules, in this process.

    Args:
        bundle: the rules.
        settings: what the cluster requires.
    """

    def __init__(self, bundle: PolicyBundle, settings: AdmissionSettings) -> None:
        self._program = Program(bundle.modules, ENTRY)
        self._settings = settings

    def check(self, found: Sequence[Workload]) -> list[Finding]:
        """One decision per workload, in their order."""
        return [Finding(workload, self._decide(workload)) for workload in found]

    def _decide(self, workload: Workload) -> Decision:
        query = Query(
            subject=Subject(user="", team="", roles=()),
            action=ACTION,
            resource=PolicyResource(kind=workload.kind, name=workload.name),
            evidence={
                "workload": {"kind": workload.kind, "name": workload.name},
                "pod": workload.pod,
                "allowed_images": list(self._settings.allowed_images),
                "required_limits": list(self._settings.required_limits),
            },
            time=datetime.now(UTC),
        )
        try:
            value = self._program.evaluate(query.model_dump_json())
            return decision_from(value, engine=engine_name(), bundle_digest="")
        except (RegoError, ValidationError, TypeError, KeyError) as error:
            return denial("rule_error", f"It can't be judged: {error}", engine=engine_name(), bundle_digest="")


def _admission_of(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} can't be read: {' '.join(str(error).split())}") from None
    found = document.get("admission") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _workload(kind: str, document: dict[str, Any]) -> Workload:
    metadata = document.get("metadata") if isinstance(document.get("metadata"), dict) else {}
    assert isinstance(metadata, dict)
    pod: Any = document
    for step in POD_TEMPLATES[kind]:
        pod = pod.get(step) if isinstance(pod, dict) else None
    pod = pod if isinstance(pod, dict) else {}
    kept = {name: pod[name] for name in ("metadata", "spec") if isinstance(pod.get(name), dict)}
    return Workload(kind, str(metadata.get("name", "")), str(metadata.get("namespace", "")), kept)


def _without_nulls(value: Any) -> Any:
    """As the API server reads it: a field that is null is not there. Dates are texts, as JSON has them."""
    if isinstance(value, dict):
        return {str(name): _without_nulls(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value if item is not None]
    return value if isinstance(value, str | int | float | bool) else json.loads(json.dumps(value, default=str))
