"""Versions in traffic as metrics."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from archlab.control.store import Store
from archlab.control.version_metrics import VersionMetrics
from archlab.spec.comparison import Comparison
from control_process import Control
from prediction_lines import ASKED_US, MODEL, Kept, line


def samples(text: str) -> dict[tuple[str, str, str], float]:
    """Value by sample, version and traffic."""
    return {
        (s.name, s.labels.get("version", ""), s.labels.get("traffic", "")): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


def test_subjects_stand_beside_requests(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    store = Store(kept.control)
    with store.write() as db:
        db.execute("INSERT INTO clock (only, started_us, now_us) VALUES (1, 0, ?)", (ASKED_US + 10,))
        for n, known_us in enumerate((ASKED_US + 5, ASKED_US + 50)):
            db.execute("INSERT INTO labels VALUES (?, ?, ?, ?, 1.0, NULL)", (MODEL, f"F{n}", ASKED_US, known_us))
    kept.append(*(line(n, f"F{n % 3}") for n in range(12)), line(12, version="2", status=500, prediction=[]))
    kept.append(*(line(n, shadow=True) for n in range(4)), "torn\n")
    kept.take_in()
    found = samples(VersionMetrics(kept.predictions, kept.control).text())
    store.close()
    assert found == {
        ("archlab_version_requests", "1", "live"): 12,
        ("archlab_version_errors", "1", "live"): 0,
        ("archlab_version_subjects", "1", "live"): 3,
        ("archlab_version_labelled_subjects", "1", "live"): 1,
        ("archlab_version_requests", "2", "live"): 1,
        ("archlab_version_errors", "2", "live"): 1,
        ("archlab_version_subjects", "2", "live"): 1,
        ("archlab_version_labelled_subjects", "2", "live"): 0,
        ("archlab_version_requests", "2", "shadow"): 4,
        ("archlab_version_errors", "2", "shadow"): 0,
        ("archlab_version_subjects", "2", "shadow"): 4,
        ("archlab_version_labelled_subjects", "2", "shadow"): 1,
        ("archlab_shadow_pairs_total", "2", "shadow"): 4,
        ("archlab_shadow_abs_difference_sum", "2", "shadow"): 1.0,
        ("archlab_shadow_abs_difference_count", "2", "shadow"): 4,
        ("archlab_prediction_log_damaged_lines", "", ""): 1,
    }


def test_control_reads_the_logs_and_compares(control: Control) -> None:
    control.folder.predictions.mkdir()
    with (control.folder.predictions / "online-0.jsonl").open("w") as log:
        log.writelines(line(n, version=version) for n, version in enumerate("1212"))
    found = Comparison.model_validate(control.get(f"/comparisons/{MODEL}"))
    assert [(v.version, v.requests) for v in found.versions] == [("2", 2)]
    assert found.champion == ""
    assert found.now == datetime(2013, 12, 2, 8, tzinfo=UTC)
    assert control.get(f"/comparisons/{MODEL}?since=2026-01-01T00:01:00Z")["versions"] == []
    with control.client() as client:
        assert samples(client.get("/metrics").text)["archlab_version_requests", "1", "live"] == 2
        assert client.get("/comparisons/nonsense").status_code == 404
        assert client.get(f"/comparisons/{MODEL}?since=soon").status_code == 400


def test_a_comparison_needs_a_token(idle: Control) -> None:
    transport = httpx.HTTPTransport(uds=str(idle.folder.socket("control")))
    with httpx.Client(transport=transport, base_url="http://control") as client:
        assert client.get(f"/comparisons/{MODEL}").status_code == 401
