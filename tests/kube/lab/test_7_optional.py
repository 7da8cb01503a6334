"""Parts that are off by default, switched on once by the learner's own values: an OPA server, a Prometheus.

Their images are other projects': ARCHLAB_KUBE_OPA_IMAGE and ARCHLAB_KUBE_PROMETHEUS_IMAGE name such that the cluster
has or can pull.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from archlab.lab import Lab
from harness import Cli
from kube_objects import until
from lab_pods import kubectl, objects

OPA, PROMETHEUS = os.environ.get("ARCHLAB_KUBE_OPA_IMAGE", ""), os.environ.get("ARCHLAB_KUBE_PROMETHEUS_IMAGE", "")
with_opa = pytest.mark.skipif(not OPA, reason="ARCHLAB_KUBE_OPA_IMAGE names no image of an OPA server")
with_prometheus = pytest.mark.skipif(
    not PROMETHEUS, reason="ARCHLAB_KUBE_PROMETHEUS_IMAGE names no image of Prometheus"
)
MODEL, RULE = "flight-time", "access/registry_write"


def _image(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag}


@pytest.fixture(scope="module")
def switched_on(cli: Cli, lab: Lab) -> Iterator[None]:
    """What there is an image of, for as long as these tests run."""
    values: dict[str, Any] = {}
    if OPA:
        values["policy"] = {"opa": {"enabled": True, "image": _image(OPA)}}
    if PROMETHEUS:
        values["monitoring"] = {"prometheus": {"enabled": True, "image": _image(PROMETHEUS)}}
    own = lab.folder.root / "values.yaml"
    own.write_text(yaml.safe_dump(values))
    cli.ok("up", "ten-models", timeout_s=300)
    yield
    own.unlink()
    cli.ok("up", "ten-models", timeout_s=300)
    assert not {"opa", "prometheus"} & {d["metadata"]["name"] for d in objects("deployments")}


def refusal(cli: Cli) -> dict[str, Any]:
    """What is said to somebody who may not promote."""
    refused = cli.run("promote", MODEL, "1", "--user", "caller")
    assert refused.returncode == 1, refused.stdout
    denied = [entry["decision"] for entry in cli.json("policy", "decisions") if not entry["decision"]["allow"]]
    return dict(denied[-1])


@with_opa
def test_a_real_opa_server_decides_by_the_signed_bundle(cli: Cli, lab: Lab, switched_on: None) -> None:
    denied = refusal(cli)
    assert denied["engine"] == "opa at http://opa:8181"
    assert (
        denied["bundle_digest"] == hashlib.sha256((lab.folder.root / "policy" / "bundle.json").read_bytes()).hexdigest()
    )
    assert RULE in {reason["rule"] for reason in denied["reasons"]}
    cli.ok("approve", MODEL, "1")
    cli.ok("promote", MODEL, "1")
    allowed = [d["decision"] for d in cli.json("policy", "decisions") if d["decision"]["allow"]]
    assert allowed[-1]["engine"] == "opa at http://opa:8181"


@with_opa
def test_an_opa_server_that_starts_anew_gets_its_rules_back(cli: Cli, switched_on: None) -> None:
    kubectl("delete", "pod", "-l", "archlab.dev/unit=opa")
    kubectl("rollout", "status", "deployment/opa", "--timeout=60s")
    until(lambda: RULE in {reason["rule"] for reason in refusal(cli)["reasons"]}, "the rules' own reasons")


@with_opa
def test_only_the_registry_reaches_the_opa_server(lab: Lab, switched_on: None) -> None:
    (pod,) = objects("pods", "-l", "archlab.dev/unit=opa")
    code = f"import socket; socket.create_connection(({pod['status']['podIP']!r}, 8181), 3); print('open')"
    asked = {
        unit: kubectl(
            "exec", f"deployment/{unit}", "-c", container, "--", "sh", "-c", f'python -c "{code}" || echo closed'
        )
        for unit, container in (("lookup", "server"), ("registry", "registry"))
    }
    assert asked["registry"].strip() == "open"
    assert asked["lookup"].strip() == "closed"


@with_prometheus
def test_prometheus_scrapes_every_pod_through_control(lab: Lab, switched_on: None) -> None:
    (pod,) = objects("pods", "-l", "archlab.dev/unit=prometheus")
    url = f"http://{pod['status']['podIP']}:9090/api/v1/query?query=archlab_up"
    code = f"import urllib.request; print(urllib.request.urlopen({url!r}).read().decode())"

    def scraped() -> bool:
        found = json.loads(kubectl("exec", "deployment/control", "-c", "control", "--", "python", "-c", code))
        return {s["metric"].get("unit") for s in found["data"]["result"]} == {"online", "bento", "lookup"}

    until(scraped, "a sample of every unit")
