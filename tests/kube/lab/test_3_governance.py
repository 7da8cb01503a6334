"""What the log and the registry say of a lab on a cluster: lineage, exceptions, candidates, and why no scratch lab."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from archlab.lab import Lab
from archlab.lab.work import mlflow_environment, run_job
from archlab.pipelines.data import ingest_of
from archlab.spec.job import Job
from archlab.spec.lineage import Lineage
from harness import Cli
from kube_objects import until
from lab_pods import NAME, kubectl

ONLINE, BATCH = "flight-time", "route-segments"
RULE, MODEL = "promotion/enough_holdout", "missed-connection"
VARIANT = "v2-leaky"
DESIGN = "models: {flight-time: {replicas: 1}}\n"


def quiet(_step: str, _detail: str) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def sources(lab: Lab) -> dict[str, str]:
    """Digests of the source files themselves, as they are on this machine."""
    files = ingest_of(lab.declared.business).sources()
    named = {f"{lab.declared.business}/{name}": path for name, path in files.items()}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in named.items()}


@pytest.mark.parametrize("model", [ONLINE, BATCH])
def test_a_champion_leads_back_to_the_source_files(cli: Cli, lab: Lab, sources: dict[str, str], model: str) -> None:
    found = Lineage.model_validate(cli.json("lineage", f"{model}@champion"))
    assert found.gaps == (), found.gaps
    assert found.sources == sources
    assert "No link is missing" in cli.ok("lineage", f"{model}@champion")


def test_an_answer_of_a_pod_leads_back_to_the_snapshot_that_it_was_made_from(cli: Cli, sources: dict[str, str]) -> None:
    asked = cli.json("predict", ONLINE)
    done: list[Lineage] = []

    def logged() -> bool:
        """The pod's sidecar hands the prediction log on."""
        said = cli.run("lineage", ONLINE, "--prediction", asked["answer"]["id"], "--json")
        if said.returncode == 0:
            done.append(Lineage.model_validate_json(said.stdout))
        return said.returncode == 0

    until(logged, "the answer in the prediction log")
    (found,) = done
    assert found.sources == sources
    assert "snapshot" in {node.kind for node in found.nodes}


def test_an_exception_is_granted_listed_and_revoked(cli: Cli, lab: Lab) -> None:
    asked = ("policy", "except", RULE, MODEL, "--until", "2013-12-20", "--reason", "few rows of new routes")
    refused = cli.run(*asked, "--as", "learner")
    assert (refused.returncode, "exception/granted_by_another" in refused.stderr) == (1, True)
    assert RULE in cli.ok(*asked, "--as", "approver", "--owner", "learner")
    assert [one["state"] for one in cli.json("policy", "exceptions")] == ["active"]
    cli.ok("policy", "revoke", RULE, MODEL)
    assert [one["state"] for one in cli.json("policy", "exceptions")] == ["ended"]
    assert "whole" in cli.ok("policy", "verify")


def test_a_version_that_a_job_registered_waits_as_a_candidate(cli: Cli, lab: Lab) -> None:
    assert cli.json("models", "candidates") == []
    arguments = ("--variant", VARIANT, MODEL)
    environment = mlflow_environment(lab, lab.declared.trainer)
    run_job(lab, Job(name="register-v2", module="archlab.pipelines.register", args=arguments, env=environment), quiet)
    (waiting,) = cli.json("models", "candidates")
    assert (waiting["model"], waiting["version"]) == (MODEL, "2")
    assert MODEL in cli.ok("models", "candidates")


def test_a_design_is_refused_at_once_with_what_to_do_instead(cli: Cli, lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "design.yaml").write_text(DESIGN)
    question = design_question(cli)
    refused = cli.run("answer", question["id"], str(tmp_path / "design.yaml"))
    assert refused.returncode == 1
    said = "".join((refused.stdout + refused.stderr).replace("│", "").split())  # a box breaks lines anywhere
    assert "isonacluster" in said
    assert f"archlabupten-models--lab{NAME}-here--seed{lab.identity.seed}" in said
    assert "calibrate" not in said
    assert design_question(cli) == question, "no attempt is spent"


def design_question(cli: Cli) -> dict[str, Any]:
    return next(q for q in cli.json("questions") if q["kind"] == "design")


def test_no_pod_but_a_registering_jobs_sees_what_models_are_signed_with(lab: Lab) -> None:
    for unit, container in (("control", "control"), ("registry", "registry"), ("online", "server")):
        seen = kubectl("exec", f"deployment/{unit}", "-c", container, "--", "ls", "/etc/archlab/keys").split()
        assert "trusted.pem" in seen
        assert "signing.pem" not in seen
    agent = kubectl("exec", "deployment/gateway", "-c", "agent", "--", "ls", "/etc/archlab/keys").split()
    assert sorted(agent) == ["jwks.json", "replica.token"]
