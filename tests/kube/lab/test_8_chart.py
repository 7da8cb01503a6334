"""The chart as the cluster's API server sees it: every manifest, with every switch on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml

from archlab.settings import data_root
from lab_pods import NAME, kubectl

NAMESPACE = f"{NAME}-dry-run"
EVERYTHING = (
    *("policy.opa.enabled=true", "monitoring.prometheus.enabled=true", "monitoring.dashboard.enabled=true"),
    *("gateway.ingress.enabled=true", "gateway.replicas=2", "units.online.autoscaling.enabled=true"),
    "units.online.autoscaling.maxReplicas=4",
)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """Restricted, and said so by a warning for whatever is not."""
    kubectl("create", "namespace", NAMESPACE, namespace="default")
    labels = ("pod-security.kubernetes.io/enforce=restricted", "pod-security.kubernetes.io/warn=restricted")
    kubectl("label", "namespace", NAMESPACE, *labels, namespace="default")
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "--wait=false", namespace="default")


@pytest.mark.parametrize("switches", [(), EVERYTHING], ids=["as it is", "everything"])
def test_the_api_server_takes_every_manifest_without_a_warning(namespace: str, switches: tuple[str, ...]) -> None:
    chart = data_root("helm") / "archlab"
    command = ["helm", "template", "lab", str(chart), "--namespace", namespace, "--kube-version", "1.34"]
    command += ["--values", str(chart / "ci" / "ten-models-values.yaml")]
    for switch in switches:
        command += ["--set", switch]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    documents = [d for d in yaml.safe_load_all(rendered) if d and not _is_hook(d)]
    done = subprocess.run(
        ["kubectl", "apply", "--dry-run=server", "--namespace", namespace, "--filename", "-"],
        input=yaml.safe_dump_all(documents),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr, done.stderr
    assert len(done.stdout.splitlines()) == len(documents) > 25


def _is_hook(document: dict[str, dict[str, dict[str, str]]]) -> bool:
    """Pods of `helm test` name an account that a dry run does not make."""
    return "helm.sh/hook" in (document["metadata"].get("annotations") or {})
