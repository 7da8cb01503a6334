"""A lab whose model files are in a bucket, and whose online features are in a Redis: by values, on real servers."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterator

import pytest
import yaml

from archlab.lab import Lab, open_lab
from archlab.lab.asking import ask, example
from guide import DOCS, STATE, commands
from harness import Cli
from kube_objects import Kubectl
from lab_pods import NAME, kubectl
from s3_server import BUCKET
from state_elsewhere import REDIS_IMAGE, S3_IMAGE, WITHOUT, Stores, stores

pytestmark = pytest.mark.skipif(not (S3_IMAGE and REDIS_IMAGE), reason=WITHOUT)
ELSEWHERE = f"{NAME}-elsewhere"
MODEL = "flight-time"


@pytest.fixture(scope="module")
def servers() -> Iterator[Stores]:
    with stores(Kubectl()) as found:
        yield found


@pytest.fixture(scope="module")
def there(cli: Cli, servers: Stores) -> Iterator[Cli]:
    """The lab, made as the guide says: namespace and Secrets first, then values, then `up`."""
    of = Cli(cli.home, ELSEWHERE)
    done: list[str] = []
    for command in commands(STATE):
        words = [servers.filled_in(word, ELSEWHERE) for word in shlex.split(command)]
        if words[0] == "kubectl" and "registry-database" not in words:
            Kubectl().ok(*words[1:])
            done.append(command)
    assert len(done) == 3
    (of.home / ELSEWHERE).mkdir()
    values = yaml.safe_load((DOCS / "kubernetes" / "state.yaml").read_text())
    (of.home / ELSEWHERE / "values.yaml").write_text(yaml.safe_dump(servers.own(values)))
    try:
        of.ok("up", "ten-models", "--target", "kube", timeout_s=600)
        yield of
    finally:
        of.ok("down", "--purge", timeout_s=200)
    assert Kubectl().run("get", "namespace", ELSEWHERE).returncode


@pytest.fixture
def elsewhere(there: Cli) -> Lab:
    return open_lab(ELSEWHERE)


def test_models_answer_from_snapshots_of_what_is_in_the_redis(elsewhere: Lab, servers: Stores) -> None:
    for model in ("departure-delay", "arrival-delay"):
        answer = ask(elsewhere, model, example(elsewhere, model, []))
        assert answer["parameters"]["features_as_of"]
    assert servers.redis.dbsize() > 1000
    files = kubectl(
        "exec",
        "deployment/control",
        "-c",
        "control",
        "--",
        "ls",
        *[f"/var/lib/archlab/{ELSEWHERE}/features"],
        namespace=ELSEWHERE,
    ).split()
    assert "registry.db" in files
    assert not {"online.db", "state.json"} & set(files), "nothing of it is on the volume"


def test_model_files_are_in_the_bucket_and_not_on_the_volume(elsewhere: Lab, servers: Stores) -> None:
    graphs = [key for key in servers.objects(f"{ELSEWHERE}/") if key.endswith("/model.onnx")]
    assert len(graphs) == 10
    found = kubectl(
        *("exec", "deployment/registry", "-c", "registry", "--", "find", f"/var/lib/archlab/{ELSEWHERE}/registry"),
        *("-name", "*.onnx"),
        namespace=ELSEWHERE,
    )
    assert found == ""
    released = {release["decision_sha256"] for release in elsewhere.control.get("/releases")["releases"]}
    stored = {
        hashlib.sha256(servers.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()).hexdigest() for key in graphs
    }
    assert released <= stored


def test_a_file_changed_in_the_bucket_is_not_promoted(there: Cli, elsewhere: Lab, servers: Stores) -> None:
    found = elsewhere.registry().get(f"/model-versions/get?name={MODEL}&version=1")["model_version"]
    key = next(
        k for k in servers.objects(ELSEWHERE) if k.endswith("/model.onnx") and found["source"].split("/")[-1] in k
    )
    before = servers.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    servers.s3.put_object(Bucket=BUCKET, Key=key, Body=before + b"\0")
    refused = there.run("promote", MODEL, "1", "--alias", "challenger")
    servers.s3.put_object(Bucket=BUCKET, Key=key, Body=before)
    assert refused.returncode == 1, refused.stdout
    assert "supply_chain/signed_by_trusted_key" in refused.stderr


def test_time_goes_on_and_a_redis_that_forgot_everything_is_filled_again(there: Cli, servers: Stores) -> None:
    there.ok("clock", "advance", "1h", timeout_s=200)
    before = servers.redis.dbsize()
    servers.redis.flushdb()
    there.ok("clock", "advance", "1h", timeout_s=200)
    assert servers.redis.dbsize() >= before
    answer = json.loads(there.ok("predict", "departure-delay", "--json"))
    assert answer


def test_only_jobs_that_write_features_reach_the_redis(servers: Stores) -> None:
    (pod,) = Kubectl().get("-n", servers.namespace, "pods", "-l", "app=redis")["items"]
    code = f"import socket; socket.create_connection(({pod['status']['podIP']!r}, 6379), 3); print('open')"
    for unit, container in (("lookup", "server"), ("control", "control"), ("registry", "registry")):
        said = kubectl(
            *("exec", f"deployment/{unit}", "-c", container, "--", "sh", "-c", f'python -c "{code}" || echo closed'),
            namespace=ELSEWHERE,
        )
        assert said.strip() == "closed", unit


def test_no_key_of_either_is_seen_by_another_pod_or_in_helms_values(there: Cli) -> None:
    pods = Kubectl().get("-n", ELSEWHERE, "pods")["items"]
    users = {pod["metadata"]["labels"]["archlab.dev/unit"] for pod in pods if "model-files" in json.dumps(pod["spec"])}
    assert users == {"registry"}
    assert not [p["metadata"]["name"] for p in pods if "online-features" in json.dumps(p["spec"]) and _serves(p)]


def _serves(pod: dict[str, dict[str, dict[str, str]]]) -> bool:
    return pod["metadata"]["labels"].get("app.kubernetes.io/component") != "job"


def test_a_reset_is_refused_before_anything_is_stopped(there: Cli) -> None:
    refused = there.run("reset")
    assert refused.returncode == 1
    assert "is in a bucket of yours" in refused.stderr
    assert there.json("status")["replicas"]


def test_while_the_redis_is_away_models_answer_and_the_clock_says_why_it_stands(there: Cli, servers: Stores) -> None:
    before = there.json("clock", "show")["now"]
    Kubectl().ok("-n", servers.namespace, "delete", "pod", "redis", "--wait=true")
    assert there.json("predict", "departure-delay")["answer"]
    failed = there.run("clock", "advance", "30m", timeout_s=200)
    assert failed.returncode == 3
    assert f"The online store in the Redis at redis.{servers.namespace}:6379/1 fails" in failed.stderr
    assert there.json("clock", "show")["now"] == before
