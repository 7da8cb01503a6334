"""A real five-team lab on the cluster that KUBECONFIG names; images as in tests/kube/lab.

It has all teams, users and quotas of the scenario, and two of its models: training ten takes longer than all tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kube_session
from archlab.lab import Lab, open_lab
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.spec.scenario import Scenario
from harness import Cli, command_line
from team_namespaces import NAME

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a cluster where none is named; a lab takes its time."""
    lacking = kube_session.lacking()
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(900))
            if lacking:
                item.add_marker(pytest.mark.skip(reason=lacking))


MODELS = ("route-segments", "aircraft-reliability")
"""Of the team that gets a pool of its own, and of one that stays."""


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A command line of the tests' own, for which the scenario has these models."""
    roots = tmp_path_factory.mktemp("scenarios")
    (roots / "five_teams").mkdir()
    (roots / "five_teams" / "scenario.yaml").write_text(_few_models().model_dump_json(indent=1))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ARCHLAB_SCENARIOS", str(roots))
        with kube_session.writable_volumes(), command_line("archlab-kube-", NAME) as made:
            yield made


def _few_models() -> Scenario:
    """The scenario as it ships, without the other models and what names them."""
    scenario = load_scenario(scenario_folder("five-teams") / "scenario.yaml")
    gone = {model.name for model in scenario.models} - set(MODELS)
    kept = {
        "models": tuple(model for model in scenario.models if model.name not in gone),
        "grants": tuple(grant for grant in scenario.grants if grant.model not in gone),
        "variations": tuple(v for v in scenario.variations if not gone & set(v.path.split("."))),
    }
    return scenario.model_copy(update=kept)


@pytest.fixture(scope="session")
def lab(cli: Cli) -> Lab:
    """The lab, up: every team in the shared pool."""
    cli.ok("up", "five-teams", "--target", "kube", timeout_s=600)
    return open_lab(NAME)


@pytest.fixture(scope="session")
def apart(cli: Cli, lab: Lab) -> Lab:
    """The lab with one team in a pool of its own."""
    cli.ok("isolation", "use", "pool", "--team", "revenue")
    return lab
