from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archlab.drills import records
from archlab.errors import NotFoundError, SpecError
from archlab.spec.drill import DrillReport, Objectives, Posture, Verdict

BEGAN = datetime(2026, 11, 26, 12, tzinfo=UTC)


def report(began: datetime) -> DrillReport:
    return DrillReport(
        drill="kill-region",
        title="A region is lost",
        began=began,
        posture=Posture(),
        objectives=Objectives(),
        verdict=Verdict.VOID,
        reasons=("it was broken off",),
        measured=None,
        events=(),
        clock_zero=0.0,
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHLAB_HOME", str(tmp_path))
    return tmp_path


def test_the_newest_report_is_meant_unless_one_is_named(place: Path) -> None:
    with pytest.raises(NotFoundError, match="No drill was run here yet"):
        records.one(None)
    for hours in (0, 1):
        began = BEGAN + timedelta(hours=hours)
        records.keep(records.new("kill-region", began), report(began))
    assert list(records.all_reports()) == ["20261126T120000-kill-region", "20261126T130000-kill-region"]
    assert records.one(None)[1].began == BEGAN + timedelta(hours=1)
    assert records.one("20261126T120000-kill-region") == (
        place / "drills" / "20261126T120000-kill-region",
        report(BEGAN),
    )
    with pytest.raises(NotFoundError, match="No run is called"):
        records.one("meteorite")


@pytest.mark.usefixtures("place")
def test_a_damaged_report_is_named_and_hides_no_other() -> None:
    records.keep(records.new("kill-region", BEGAN), report(BEGAN))
    damaged = records.new("kill-region", BEGAN + timedelta(hours=1))
    (damaged / records.REPORT).write_text("{}")
    assert list(records.all_reports()) == ["20261126T120000-kill-region"]
    with pytest.raises(SpecError, match=damaged.name):
        records.one(None)


@pytest.mark.usefixtures("place")
def test_only_an_empty_folder_is_dropped() -> None:
    empty, kept = records.new("kill-region", BEGAN), records.new("hang-region", BEGAN)
    (kept / records.LEDGER).touch()
    for folder in (empty, kept):
        records.drop_empty(folder)
    assert (empty.exists(), kept.exists()) == (False, True)
