"""Admission: the cluster's policies (CEL) refuse with a sentence, and the rules in rego say exactly the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from admission_cases import IMAGES, deployment, workloads
from archlab.policy.admission import Admission, AdmissionSettings
from archlab.policy.admission import workloads as read
from archlab.policy.bundle import built_in
from cluster_chart import Installed, archlab, try_archlab
from kube_objects import Kubectl, until
from warnings_of import Warnings

SETTINGS = AdmissionSettings(allowedImages=IMAGES, requiredLimits=("cpu", "memory"))
POLICIES = ("team-label", "limits", "allowed-image", "not-privileged")


@pytest.fixture(scope="module")
def policed(kubectl: Kubectl, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The chart with a longer list of images."""
    values = tmp_path_factory.mktemp("values") / "values.yaml"
    values.write_text(json.dumps({"admission": {"allowedImages": list(IMAGES)}}))
    archlab("cluster", "install", "--image", installed.image, "--values", str(values))
    return installed


@pytest.fixture(scope="module")
def watched(kubectl: Kubectl, policed: Installed) -> Iterator[str]:
    """A namespace as a lab's, once its policies are in force."""
    with kubectl.namespace(**{"archlab.dev/lab": "test"}) as name:
        bad = deployment(labels={})
        until(
            lambda: kubectl.run("-n", name, "apply", "--dry-run=server", "-f", "-", document=bad).returncode,
            "a refusal",
        )
        yield name


@pytest.fixture(scope="module")
def warned(kubectl: Kubectl, policed: Installed) -> Iterator[Warnings]:
    """A namespace where the same policies warn instead: then one answer carries what every one of them says."""
    with kubectl.namespace() as name:
        chosen = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        bindings: list[dict[str, Any]] = [
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingAdmissionPolicyBinding",
                "metadata": {"name": f"{name}-{policy}"},
                "spec": {
                    "policyName": f"archlab-cluster-{policy}",
                    "validationActions": ["Warn"],
                    "matchResources": chosen,
                },
            }
            for policy in POLICIES
        ]
        kubectl.apply(name, *bindings)
        warnings = Warnings(name)
        bad = deployment(labels={}, image="nginx", privileged=True, limits={})
        try:
            until(lambda: len(warnings.of(bad)) == len(POLICIES), "all policies in force")
            yield warnings
        finally:
            for binding in bindings:
                kubectl.ok("delete", "validatingadmissionpolicybinding", binding["metadata"]["name"])


@pytest.fixture(scope="module")
def rego() -> Admission:
    return Admission(built_in(), SETTINGS)


def said(rego: Admission, document: dict[str, Any]) -> set[str]:
    (finding,) = rego.check(list(read([document])))
    assert finding.decision.allow is not bool(finding.decision.reasons)
    return {reason.message for reason in finding.decision.reasons}


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(document=workloads())
def test_cel_and_rego_say_the_same(warned: Warnings, rego: Admission, document: dict[str, Any]) -> None:
    assert warned.of(document) == said(rego, document)


@pytest.mark.parametrize(
    ("change", "policy", "sentence"),
    [
        ({"labels": {}}, "team-label", "no team would pay for its pods. Label the pod template: archlab.dev/team."),
        ({"limits": {"cpu": "1"}}, "limits", "a container without limits can take the whole node. "),
        ({"image": "nginx:1.27"}, "allowed-image", "may run here, not nginx:1.27."),
        ({"privileged": True}, "not-privileged", "a privileged container owns the node and everybody on it. "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kubectl_is_refused_with_the_sentence(
    kubectl: Kubectl, watched: str, change: dict[str, Any], policy: str, sentence: str
) -> None:
    refused = kubectl.run("-n", watched, "apply", "-f", "-", document=deployment(**change))
    assert refused.returncode != 0
    assert f"ValidatingAdmissionPolicy 'archlab-cluster-{policy}'" in refused.stderr
    assert "denied request: Deployment web: " in refused.stderr
    assert sentence in refused.stderr


def test_a_good_workload_is_admitted(kubectl: Kubectl, watched: str) -> None:
    kubectl.apply(watched, deployment())


def test_other_namespaces_are_not_watched(kubectl: Kubectl, policed: Installed, namespace: str) -> None:
    kubectl.ok("-n", namespace, "apply", "--dry-run=server", "-f", "-", document=deployment(labels={}, limits={}))


def test_what_was_there_before_can_be_scaled_and_deleted_but_not_changed(
    kubectl: Kubectl, watched: str, namespace: str
) -> None:
    kubectl.apply(namespace, deployment(labels={}) | {"metadata": {"name": "old"}})
    kubectl.ok("label", "namespace", namespace, "archlab.dev/lab=test")
    change = ("-n", namespace, "set", "image", "deployment/old", "app=archlab/other:2")
    until(lambda: kubectl.run(*change).returncode != 0, "a refusal")
    kubectl.ok("-n", namespace, "annotate", "deployment", "old", "note=kept")
    kubectl.ok("-n", namespace, "scale", "deployment", "old", "--replicas=0")
    kubectl.ok("-n", namespace, "delete", "deployment", "old", "--wait=true")


def test_a_debug_container_needs_an_allowed_image(kubectl: Kubectl, watched: str, policed: Installed) -> None:
    template = deployment()["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**template["metadata"], "name": "lone"}}
    kubectl.apply(watched, pod)
    refused = kubectl.run("-n", watched, "debug", "lone", "--image=busybox", "--profile=general", "--", "true")
    assert refused.returncode != 0
    assert "may run here, not busybox." in refused.stderr


def test_the_policies_are_typed_without_warnings(kubectl: Kubectl, policed: Installed) -> None:
    def found() -> list[dict[str, Any]]:
        listed = kubectl.get("validatingadmissionpolicy", "-l", "app.kubernetes.io/part-of=archlab")["items"]
        return [policy.get("status", {}) for policy in listed]

    until(lambda: len(found()) == 5 and all("typeChecking" in status for status in found()), "type checks")
    assert [status["typeChecking"] for status in found()] == [{}] * 5


def test_plan_check_knows_beforehand(kubectl: Kubectl, watched: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "web.yaml").write_text(json.dumps(deployment(image="nginx:1.27", limits={})))
    checked = try_archlab("plan", "check", str(folder / "web.yaml"), "--json")
    assert checked.returncode == 1
    (finding,) = json.loads(checked.stdout)
    assert {reason["rule"] for reason in finding["reasons"]} == {"admission/allowed_image", "admission/limits"}
