"""The rule that the learner completes: compiles with its gap, refuses once filled, as the embedded engine decides."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archlab import identity
from archlab.policy.bundle import publish
from archlab.policy.embedded import EmbeddedEngine
from archlab.settings import LabFolder
from archlab.spec.policy import PolicyResource, Query, Subject
from archlab_scenarios.ten_models import tour_checks
from synthetic import World, ten_models

NAME = "inputs_known_at_prediction"
RULE = f"promotion/{NAME}"
KNOWN = ["hour", "distance"]


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    """A lab's folder with keys and the skeleton in it."""
    made = LabFolder(tmp_path / "lab")
    identity.create_keys(made)
    shutil.copytree(ten_models() / "tour" / NAME, made.policies / "promotion" / NAME)
    return made


def _refused_by_it(folder: LabFolder, columns: list[str]) -> bool:
    publish(folder)
    evidence = {
        "version": {"columns": [{"name": n, "source": "request"} for n in columns]},
        "known_at_request": KNOWN,
    }
    query = Query(
        subject=Subject(user="learner", team="platform", roles=("developer",)),
        action="promotion/champion",
        resource=PolicyResource(kind="model_version", name="missed-connection", version="2"),
        evidence=evidence,
        time=World().scenario.starts,
    )
    return RULE in {r.rule for r in EmbeddedEngine(folder).decide(query).reasons}


def test_the_gap_lets_everything_through_and_the_filled_rule_does_not(folder: LabFolder) -> None:
    path = folder.policies / "promotion" / NAME / f"{NAME}.rego"
    assert not _refused_by_it(folder, [*KNOWN, "dep_delay"])
    assert "gap" in tour_checks.rule_in_force(World().evidence(), folder.root)
    lines = path.read_text().splitlines()
    (gap,) = [n for n, line in enumerate(lines) if tour_checks.GAP in line]
    lines[gap] = "unknown := asked - known"
    path.write_text("\n".join(lines) + "\n")
    assert _refused_by_it(folder, [*KNOWN, "dep_delay"])
    assert not _refused_by_it(folder, KNOWN)
    assert tour_checks.rule_in_force(World().evidence(), folder.root) == ""


def test_the_solution_does_the_same(folder: LabFolder) -> None:
    target = folder.policies / "promotion" / NAME
    shutil.copytree(ten_models() / "solution" / "policies" / "promotion" / NAME, target, dirs_exist_ok=True)
    assert _refused_by_it(folder, [*KNOWN, "dep_delay"])
    assert not _refused_by_it(folder, KNOWN)
    assert tour_checks.rule_in_force(World().evidence(), folder.root) == ""
