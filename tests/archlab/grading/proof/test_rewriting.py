"""Candidates recast to another seed are those that a lab of that seed has in its registry."""

from __future__ import annotations

import pytest

from archlab.grading.proof import recording
from archlab.grading.proof.recasting import recast
from archlab.plan.loading import load_scenario, scenario_folder
from archlab.plan.resolve import resolve
from archlab.registry.evidence import APPROVED_EVIDENCE, BOM_SHA256
from archlab.registry.facts import still_approved
from archlab.spec.grading import VersionFacts

FOLDER = scenario_folder("approval-gates")
OWN = ("archlab.sha256", "archlab.onnx_sha256", "archlab.device_support", BOM_SHA256, APPROVED_EVIDENCE)
"""What differs between two labs of one seed too: the run's file, its bill of materials, and so what was approved."""


def _claims(facts: VersionFacts) -> dict[str, object]:
    tags = {k: v for k, v in facts.tags.items() if k not in OWN}
    metrics = {k: v for k, v in facts.metrics.items() if not k.endswith("_seconds")}
    return {"tags": tags, "metrics": metrics, "who": (facts.author, facts.approved_by), "good": still_approved(facts)}


def test_one_recorded_lab_recast_agrees_with_every_other() -> None:
    takes = recording.load(FOLDER)
    declared = load_scenario(FOLDER / "scenario.yaml")
    assert len(takes) > 1
    for one in takes:
        for other in takes:
            found = recast(one.start, *resolve(declared, other.seed))
            assert [v.model for v in found.versions] == [v.model for v in other.start.versions]
            for mine, theirs in zip(found.versions, other.start.versions, strict=True):
                assert _claims(mine) == _claims(theirs)


def test_its_own_seed_changes_nothing() -> None:
    for take in recording.load(FOLDER):
        declared = load_scenario(FOLDER / "scenario.yaml")
        assert recast(take.start, *resolve(declared, take.seed)).versions == take.start.versions


def test_an_approval_that_was_void_stays_void_and_the_others_good() -> None:
    for take in recording.load(FOLDER):
        standing = {v.tags["archlab.candidate"]: v for v in take.start.versions if "archlab.candidate" in v.tags}
        assert not still_approved(standing["cancel-b"])
        assert still_approved(standing["congestion-b"])
        changed = standing["congestion-b"].model_copy(update={"metrics": {"mae": 1.0}})
        assert not still_approved(changed)


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_claims_of_any_seed_are_what_it_declares(seed: int) -> None:
    declared = load_scenario(FOLDER / "scenario.yaml")
    found = recast(recording.load(FOLDER)[0].start, *resolve(declared, seed))
    for candidate in found.scenario.candidates:
        facts = next(v for v in found.versions if v.tags.get("archlab.candidate") == candidate.name)
        assert facts.approved_by == candidate.approved_by
        assert facts.tags.get("archlab.requested_by", "") == candidate.requested_by
        assert still_approved(facts) is bool(candidate.approved_by and not candidate.amended_percent)
