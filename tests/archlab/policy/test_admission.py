"""Manifests judged beforehand; that a cluster says the same is tested in tests/kube."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admission_cases import IMAGES, KINDS, deployment, wrap
from archlab.errors import SpecError
from archlab.policy.admission import Admission, AdmissionSettings, read_manifests, settings_from, workloads
from archlab.policy.bundle import built_in, collect
from archlab.settings import LabFolder

SETTINGS = AdmissionSettings(allowedImages=IMAGES, requiredLimits=("cpu", "memory"))


@pytest.fixture(scope="module")
def admission() -> Admission:
    return Admission(built_in(), SETTINGS)


def rules(admission: Admission, *documents: Any) -> list[set[str]]:
    """The rules that object, per workload."""
    findings = admission.check(list(workloads(documents)))
    return [{reason.rule.removeprefix("admission/") for reason in f.decision.reasons} for f in findings]


def test_a_good_workload_passes(admission: Admission) -> None:
    assert rules(admission, deployment()) == [set()]


def test_every_rule_objects(admission: Admission) -> None:
    bad = deployment(labels={}, image="nginx", limits={}, privileged=True)
    assert rules(admission, bad) == [{"team_label", "limits", "allowed_image", "not_privileged"}]


@pytest.mark.parametrize("kind", KINDS)
def test_the_pods_of_every_kind_are_found(admission: Admission, kind: str) -> None:
    spec = {"containers": [{"name": "app", "image": "nginx", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}
    assert rules(admission, wrap(kind, spec, {"archlab.dev/team": "ops"})) == [{"allowed_image"}]


def test_lists_are_unfolded_and_other_kinds_left_out(admission: Admission) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    inner = {"kind": "DeploymentList", "items": [deployment(labels={})]}
    found = [deployment(), {"kind": "List", "items": [service, inner]}, None, "text", service]
    assert rules(admission, *found) == [set(), {"team_label"}]


def test_what_is_null_is_not_there(admission: Admission) -> None:
    document = deployment()
    document["spec"]["template"]["spec"] |= {"initContainers": None, "volumes": None, "hostNetwork": None}
    document["spec"]["template"]["metadata"]["labels"]["other"] = None
    assert rules(admission, document) == [set()]


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.just(date(2013, 1, 1)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["spec", "template", "containers", "x"]), inner)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=JUNK, metadata=JUNK)
def test_what_is_no_workload_is_refused_and_never_fatal(admission: Admission, spec: Any, metadata: Any) -> None:
    (finding,) = admission.check(list(workloads([{"kind": "Deployment", "metadata": metadata, "spec": spec}])))
    assert not finding.decision.allow
    assert finding.decision.reasons


def test_a_rule_of_the_labs_own_decides_too(tmp_path: Path) -> None:
    rule = tmp_path / "policies" / "admission" / "named_owner" / "named_owner.rego"
    rule.parent.mkdir(parents=True)
    rule.write_text(
        "package archlab.rules.admission.named_owner\n\nimport rego.v1\n\n"
        'actions := {"admission/deploy"}\n\ndefault allow := false\n\n'
        'allow if input.evidence.pod.metadata.labels.owner != ""\n\n'
        'reasons contains {"code": "no_owner", "message": "Nobody owns it."} if not allow\n'
    )
    own = Admission(collect(LabFolder(tmp_path)), SETTINGS)
    assert rules(own, deployment()) == [{"named_owner"}]
    assert rules(own, deployment(labels={"archlab.dev/team": "ops", "owner": "ada"})) == [set()]


def test_the_charts_values_are_the_settings(tmp_path: Path) -> None:
    shipped = settings_from()
    assert shipped.required_limits == ("cpu", "memory")
    assert "archlab-serving" in shipped.allowed_images
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps({"admission": {"requiredLimits": ["memory"], "enabled": True}}))
    assert settings_from(path).required_limits == ("memory",)
    assert settings_from(path).allowed_images == shipped.allowed_images


@pytest.mark.parametrize("text", ["admission: {allowedImages: 3}", "admission: [", "admission: {requiredLimits: []}"])
def test_values_that_are_none_are_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"values\.yaml"):
        settings_from(path)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "!!python/object:os.system {}", "\t- x"])
def test_manifests_that_are_no_yaml_are_named(text: str) -> None:
    with pytest.raises(SpecError, match=r"web\.yaml is not YAML"):
        read_manifests(text, "web.yaml")
