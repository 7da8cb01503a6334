"""Fixtures of the policy tests."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from archlab.identity import create_keys
from archlab.settings import LabFolder
from archlab.spec.policy import PolicyResource, Query, Subject


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    """A lab's folder with keys."""
    found = LabFolder(tmp_path / "lab")
    create_keys(found)
    return found


@pytest.fixture
def rule_file(folder: LabFolder) -> Path:
    """Where a learner would write the rule promotion/own."""
    path = folder.policies / "promotion" / "own" / "own.rego"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def good() -> Query:
    """A promotion that every built-in rule lets through."""
    version: dict[str, Any] = {
        "version": "2",
        "author": "ada",
        "approved_by": "grace",
        "changed_since_approval": False,
        "approved_age_days": 1.0,
        "held_champion": False,
        "serves": False,
        "withdrawn": False,
        "state": "candidate",
        "metric": "auc",
        "value": 0.78,
        "baseline": 0.65,
        "metrics": {"auc": 0.78, "holdout_rows": 2000},
        "data_digest": "d",
        "code_version": "c",
        "columns": [{"name": "hour", "source": "request"}],
        "evaluated_at": "2013-11-04T08:00:00+00:00",
        "evaluated_age_days": 2.0,
        "onnx": {"sha256": "a" * 64, "registered_sha256": "a" * 64, "parity_max_abs_diff": 1e-7},
        "bom": {
            "sha256": "b" * 64,
            "registered_sha256": "b" * 64,
            "spec_version": "1.6",
            "model_sha256": "a" * 64,
            "model_card": True,
            "datasets": ["d"],
            "libraries": ["numpy==2.1.0"],
        },
    }
    return Query(
        subject=Subject(user="ada", team="operations", roles=("developer",)),
        action="promotion/champion",
        resource=PolicyResource(kind="model-version", name="departure-delay", version="2", team="operations"),
        evidence={
            "version": version,
            "signature": {"state": "valid", "key": "e" * 64},
            "has_champion": True,
            "champion": {"version": "1", "value": 0.75},
            "served_views": ["weather"],
            "cost": {"team": "operations", "planned_nanousd_per_30_days": 1, "spent_nanousd_last_30_days": 0},
        },
        time=datetime(2013, 11, 6, 8, tzinfo=UTC),
    )
