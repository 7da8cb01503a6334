from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.archlab_serving.conftest import Lab

from archlab_serving import prediction_log
from archlab_serving.metrics import Metrics
from archlab_serving.prediction_log import SLICE, PredictionLog, Record


def record(number: int) -> Record:
    prediction = np.array([0.25, np.nan], dtype=np.float32)
    return Record(
        0.0, f"r{number}", "delay", "1", "delay:1", 3, {"origin": ["JFK", "LGA"]}, prediction, 120, shadow=False
    )


def ids(path: Path) -> list[str]:
    return [orjson.loads(line)["request_id"] for line in path.read_bytes().splitlines()]


@pytest.fixture
def metrics(lab: Lab) -> Metrics:
    return Metrics(lab.settings())


def counted(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"archlab_prediction_log_{name}_total")


def test_a_line_holds_what_the_contract_says(tmp_path: Path, metrics: Metrics) -> None:
    log = PredictionLog(tmp_path / "p" / "server-0.jsonl", metrics)
    log.append(record(1))
    log.flush()
    assert orjson.loads((tmp_path / "p" / "server-0.jsonl").read_bytes()) == {
        "t": "1970-01-01T00:00:00Z",
        "request_id": "r1",
        "model": "delay",
        "version": "1",
        "release": "delay:1",
        "snapshot": 3,
        "keys": {"origin": ["JFK", "LGA"]},
        "prediction": [0.25, None],
        "us": 120,
        "shadow": False,
        "correlation_id": "",
        "status": 200,
    }


def test_flushes_append(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "log.jsonl"
    log = PredictionLog(path, metrics)
    for number in range(3):
        log.append(record(number))
        log.flush()
    assert ids(path) == ["r0", "r1", "r2"]


def test_many_are_written_in_slices_and_in_order(tmp_path: Path, metrics: Metrics) -> None:
    log = PredictionLog(tmp_path / "log.jsonl", metrics)
    for number in range(3 * SLICE + 1):
        log.append(record(number))
    log.flush()
    assert ids(tmp_path / "log.jsonl") == [f"r{number}" for number in range(3 * SLICE + 1)]
    assert log.pending == 0


def test_the_last_flush_waits_for_the_one_under_way(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, data: bytes) -> None:
        begun.set()
        assert go_on.wait(60)
        path.write_bytes(data)

    monkeypatch.setattr(prediction_log, "_append", slowly)
    path = tmp_path / "server-0.jsonl"
    log = PredictionLog(path, metrics)
    log.append(record(1))
    first = threading.Thread(target=log.flush)
    first.start()
    assert begun.wait(60)
    threading.Timer(0.2, go_on.set).start()
    log.flush()
    assert ids(path) == ["r1"]
    first.join()


def test_a_removed_folder_is_made_again(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "p" / "log.jsonl"
    log = PredictionLog(path, metrics)
    log.append(record(1))
    log.flush()
    shutil.rmtree(path.parent)
    log.append(record(2))
    log.flush()
    assert ids(path) == ["r2"]


def test_what_could_not_be_written_is_written_later_in_order(tmp_path: Path, metrics: Metrics) -> None:
    blocked = tmp_path / "p"
    blocked.write_text("a file where the folder should be")
    log = PredictionLog(blocked / "log.jsonl", metrics)
    for number in range(3):
        log.append(record(number))
    log.flush()
    assert log.pending == 3
    assert counted(metrics, "errors") == 1
    blocked.unlink()
    log.append(record(3))
    log.flush()
    assert ids(blocked / "log.jsonl") == ["r0", "r1", "r2", "r3"]


def test_a_full_disk_leaves_no_torn_line(metrics: Metrics) -> None:
    log = PredictionLog(Path("/dev/full"), metrics)
    log.append(record(1))
    log.flush()
    assert log.pending == 1
    assert counted(metrics, "errors") == 1


def test_the_oldest_go_when_nothing_can_be_written(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "log.jsonl"
    log = PredictionLog(path, metrics, capacity=2)
    for number in range(5):
        log.append(record(number))
    log.flush()
    assert ids(path) == ["r3", "r4"]
    assert counted(metrics, "dropped") == 3


def test_without_a_path_nothing_is_kept(metrics: Metrics) -> None:
    log = PredictionLog(None, metrics)
    log.append(record(1))
    log.flush()
    assert log.pending == 0
