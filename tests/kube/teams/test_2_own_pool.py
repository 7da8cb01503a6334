"""A team in a pool of its own: where its pods are, who reaches them, who pays, and what its quota refuses."""

from __future__ import annotations

import subprocess
from typing import Any

import yaml

from archlab.lab import Lab
from callers import callers, enough
from harness import Cli
from kube_objects import Kubectl, listed, until
from team_namespaces import HOME, NAME, namespaces, objects, quota, reaches

MODEL, POOL = "route-segments", "revenue"
MODEL_MILLICORES = 250


def pods(namespace: str, unit: str) -> list[dict[str, Any]]:
    return objects("pods", namespace, "-l", f"archlab.dev/unit={unit}")


def named(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def test_its_servers_come_up_in_its_namespace_and_no_caller_notices(cli: Cli, lab: Lab) -> None:
    with callers(lab, MODEL) as seen:
        enough(seen, 50)
        cli.ok("isolation", "use", "pool", "--team", "revenue")
        enough(seen, 50)
    assert set(seen) == {200}, seen
    assert len(pods(HOME, POOL)) == 2
    assert objects("deployments", NAME, "-l", f"archlab.dev/unit={POOL}") == []
    assert {r["state"] for r in cli.json("status")["replicas"]} == {"ready"}


def test_status_and_logs_find_them(cli: Cli, apart: Lab) -> None:
    found = [r for r in cli.json("status")["replicas"] if r["unit"] == POOL]
    assert {(r["team"], r["state"]) for r in found} == {("revenue", "ready")}
    assert {r["detail"].split()[0] for r in found} == {f"{HOME}/{named(pod)}" for pod in pods(HOME, POOL)}
    assert "revenue-" in cli.ok("logs", POOL, "-n", "5")
    assert quota()[1]["pods"] == "2"


def test_it_answers_through_the_gateway_and_control_reads_its_metrics(apart: Lab) -> None:
    def answered() -> float:
        text = apart.control.text("/metrics")
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith("archlab_inference_seconds_count{") and f'unit="{POOL}"' in line
        )

    before = answered()
    with callers(apart, MODEL, threads=1) as seen:
        enough(seen, 40)
    assert answered() >= before + 40


def test_nobody_but_gateway_and_control_reaches_it_and_it_reaches_control_alone(apart: Lab) -> None:
    own, other = pods(HOME, POOL)
    shared, lookup = pods(NAME, "online")[0], pods(NAME, "lookup")[0]
    registry = pods(NAME, "registry")[0]
    assert not reaches(NAME, named(lookup), own["status"]["podIP"], 8080)
    assert not reaches(HOME, named(own), other["status"]["podIP"], 8080)
    assert not reaches(HOME, named(own), shared["status"]["podIP"], 8080)
    assert not reaches(HOME, named(own), registry["status"]["podIP"], 5000)
    assert reaches(HOME, named(own), f"control.{NAME}", 8000)


def test_the_api_server_takes_every_manifest_without_a_warning(apart: Lab) -> None:
    shown = subprocess.run(["helm", "-n", NAME, "get", "manifest", NAME], capture_output=True, text=True, check=True)
    documents = [document for document in yaml.safe_load_all(shown.stdout) if document]
    for document in documents:
        document["metadata"].setdefault("namespace", NAME)
    assert {d["metadata"]["namespace"] for d in documents} == namespaces()
    options = ("--server-side", "--dry-run=server", "--force-conflicts", "--field-manager=test")
    done = Kubectl().run("apply", *options, "-f", "-", document=listed(*documents))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(documents) > 90


def test_the_bill_counts_what_its_servers_hold(cli: Cli, apart: Lab) -> None:
    now = cli.json("clock", "show")["now"]
    cli.ok("clock", "advance", "30m", timeout_s=200)
    base = next(pool.base_millicores for pool in apart.scenario.pools if pool.name == POOL)
    lines = [line for line in apart.control.get("/lines") if (line["model"], line["start"]) == (MODEL, now)]
    held = sum(line["quantity"] for line in lines if line["resource"] == "online_cpu")
    assert held == 2 * (MODEL_MILLICORES + base) * 30 * 60, "the server itself is the team's alone"
    assert {line["team"] for line in lines} == {"revenue"}
    assert cli.json("cost")["agrees"]


def test_no_pod_comes_beyond_the_quota_whoever_asks_and_status_says_why(cli: Cli, apart: Lab) -> None:
    """Control's scaler would get there too, in a minute more."""
    scale = ("-n", HOME, "scale", f"deployment/{POOL}")
    Kubectl().ok(*scale, "--replicas=8")
    until(lambda: quota()[1]["pods"] == "5", "as many pods as the quota allows")
    until(lambda: "exceeded quota" in str(missing(cli)), "the reason")
    (why,) = {r["detail"] for r in missing(cli)}
    Kubectl().ok(*scale, "--replicas=2")
    assert "exceeded quota: team" in why
    assert "limited: pods=5" in why
    until(lambda: len(pods(HOME, POOL)) == 2, "two pods again")


def predicted() -> int:
    """Predictions of the model in control's copies of its pods' logs."""
    logs = f"cat /var/lib/archlab/{NAME}/predictions/*.jsonl* 2>/dev/null"
    count = f'{logs} | grep -c \'"model":"{MODEL}"\' || true'
    return int(Kubectl().ok("-n", NAME, "exec", "deploy/control", "-c", "control", "--", "sh", "-c", count))


def missing(cli: Cli) -> list[dict[str, Any]]:
    return [r for r in cli.json("status")["replicas"] if r["unit"] == POOL and r["state"] == "stopped"]


def test_a_quota_that_is_raised_is_raised_in_the_cluster_too(cli: Cli, apart: Lab) -> None:
    cli.ok("quota", "set", "revenue", "memory", "512")
    assert quota()[0]["pods"] == "9"


def test_it_goes_back_and_no_caller_notices_no_prediction_is_lost_and_the_namespace_stays(cli: Cli, apart: Lab) -> None:
    before = predicted()
    with callers(apart, MODEL) as seen:
        enough(seen, 50)
        cli.ok("isolation", "use", "none", "--team", "revenue")
        enough(seen, 50)
    assert set(seen) == {200}, seen
    until(lambda: predicted() - before == seen[200], "every prediction, those of the pods that are gone too")
    assert objects("deployments", HOME) == []
    assert HOME in namespaces()
    assert quota()[0]["pods"] == "9"
