"""What experiments leave behind is read back, and damage counts as not measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from archlab.lab import records
from archlab.lab.lab import Lab
from archlab.settings import LabFolder
from archlab.spec.experiments import Calibration, Estimate
from labs import still_lab
from sweeps import losses


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    return Lab(LabFolder(still_lab(tmp_path).root))


def test_the_newest_sweep_of_a_name_and_model_is_kept(lab: Lab) -> None:
    assert records.sweeps(lab) == ()
    records.keep_sweep(lab, losses({3_600: (0, 1)}))
    newest = losses({3_600: (0, 2)})
    path = records.keep_sweep(lab, newest)
    assert records.sweeps(lab) == (newest,)
    path.write_text(path.read_text()[:50])
    assert records.sweeps(lab) == ()


def test_a_calibration_of_another_version_has_to_be_taken_again(lab: Lab) -> None:
    assert records.calibration() is None
    rate = Estimate(value=1000, low=950, high=1050)
    taken = Calibration(
        taken=datetime(2026, 3, 1, tzinfo=UTC), cores=2, onnx_calls_per_s=1e5, relative_speed=2, requests_per_s=rate
    )
    records.keep_calibration(taken)
    assert records.calibration() == taken
    assert taken.noise == pytest.approx(0.05)
    (lab.folder.root.parent / "calibration.json").write_text('{"onnx_calls_per_s": 1.0}')
    assert records.calibration() is None
