from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from archlab.errors import UserError
from archlab.lab import audit
from archlab.lab.anchors import append
from archlab.policy import chain
from archlab.policy.audit import anchor_of
from archlab.spec.policy import Decision, DecisionRecord
from policy_queries import NOW, good


def log(folder: Path, count: int = 3) -> audit.Log:
    records: list[DecisionRecord] = []
    decision = Decision(allow=True, reasons=(), engine="embedded", bundle_digest="b" * 64)
    for _ in range(count):
        last = records[-1] if records else None
        records.append(chain.append(last, good("access/write"), decision, wall_time=NOW, business_time=NOW))
    return audit.Log("lab", tuple(records), (), folder / "anchors" / "lab.jsonl")


def test_an_export_is_checked_without_the_lab(tmp_path: Path) -> None:
    made, out = log(tmp_path), tmp_path / "log.jsonl"
    audit.export(made, out)
    audit.keep(made)
    assert audit.of_file(out, made.anchors_file).soundness == made.soundness.model_copy(update={"anchors": 1})
    lines = out.read_text().splitlines()
    out.write_text("\n".join(lines[:2]) + "\n")
    assert audit.of_file(out).soundness.whole
    assert not audit.of_file(out, made.anchors_file).soundness.whole
    out.write_text("\n".join([lines[1], lines[0], lines[2]]) + "\n")
    assert not audit.of_file(out).soundness.whole


def test_an_export_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("mine")
    with pytest.raises(UserError, match="exists"):
        audit.export(log(tmp_path), tmp_path / "log.jsonl")


def test_a_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with pytest.raises(UserError, match="no file"):
        audit.of_file(file)
    audit.export(log(tmp_path), file)
    file.write_text(file.read_text() + "{}\n")
    with pytest.raises(UserError, match=r"log\.jsonl:4 can't be read"):
        audit.of_file(file)


def test_a_head_is_anchored_once(tmp_path: Path) -> None:
    made = log(tmp_path)
    audit.keep(made)
    anchor = anchor_of("lab", made.records, NOW)
    assert anchor
    known = audit.Log(made.lab, made.records, (anchor,), made.anchors_file)
    audit.keep(known)
    assert len(made.anchors_file.read_text().splitlines()) == 1
    append(made.anchors_file, anchor)
    assert len(made.anchors_file.read_text().splitlines()) == 2


def test_times_are_utc_unless_they_say_otherwise() -> None:
    naive = datetime(2013, 12, 2, 8)
    assert audit.utc(None) is None
    assert audit.utc(naive) == datetime(2013, 12, 2, 8, tzinfo=UTC)
    assert audit.utc(naive.replace(tzinfo=timezone(timedelta(hours=-5)))) == datetime(2013, 12, 2, 13, tzinfo=UTC)
