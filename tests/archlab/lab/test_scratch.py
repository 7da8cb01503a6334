"""What can have a scratch lab; making one is tested on a real lab (tests/e2e/test_4_designs.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.errors import LabStateError
from archlab.experiments import calibration, trial
from archlab.files import write_model
from archlab.lab import scratch
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.lab import KubePlace, LabIdentity, LabState
from archlab.spec.scenario import Overrides

PLACE = KubePlace(kubeconfig="/x", namespace="far", image="archlab:1", serving_image="archlab-serving:1")


def lab(root: Path, kube: KubePlace | None) -> Lab:
    folder = LabFolder(root / "far")
    identity = LabIdentity(
        lab="far",
        scenario="ten-models",
        seed=7,
        code_version="0",
        gateway_port=8080,
        state=LabState.READY,
        created=datetime(2013, 12, 2, tzinfo=UTC),
        kube=kube,
    )
    write_model(folder.identity, identity)
    return Lab(folder)


def test_a_lab_on_a_cluster_has_none_and_is_told_where_to_go(tmp_path: Path) -> None:
    with pytest.raises(LabStateError, match="far is on a cluster") as refused:
        scratch.check_possible(lab(tmp_path, PLACE))
    assert refused.value.remedy.endswith("archlab up ten-models --lab far-here --seed 7")


def test_it_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(LabStateError):
        trial.check(lab(tmp_path, PLACE), Overrides())
    with pytest.raises(LabStateError):
        calibration.calibrate(lab(tmp_path, PLACE), lambda step, _detail: said.append(step))
    assert said == []


def test_a_lab_that_was_never_finished_has_none_either(tmp_path: Path) -> None:
    with pytest.raises(LabStateError, match="never finished"):
        scratch.check_possible(lab(tmp_path, None))
