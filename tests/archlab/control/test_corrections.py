"""Corrections of a bill: new lines with who and why, never edits; and a verification that finds tampering."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import httpx
import pytest

from archlab.spec.money import Line, UsageKind
from archlab.spec.scenario import User
from control_process import START, Control, made_tick, usage

APPROVER = User(name="approver", team="platform", roles=("viewer", "approver"))
LEARNER = User(name="learner", team="platform", roles=("developer", "operator"))
WHY = "the meter counted twice"


def asked(control: Control, user: User, **wanted: Any) -> httpx.Response:
    with control.client(user) as client:
        return client.post("/corrections", json={"reason": WHY, **wanted})


def bill(control: Control) -> list[Line]:
    return [Line.model_validate(line) for line in control.get("/lines")]


def billed(control: Control) -> Line:
    """The used line of a bill with one tick."""
    control.post("/ticks", made_tick(START).model_dump_json())
    return next(line for line in bill(control) if line.kind == "used")


def test_a_correction_is_a_line_beside_the_one_that_stays(control: Control) -> None:
    line = billed(control)
    before = control.get("/cost")
    made = asked(control, APPROVER, line=line.id, amount_nanousd=1_000)
    assert made.status_code == 201
    assert (made.json()["by"], made.json()["reason"], made.json()["corrects"]) == ("approver", WHY, line.id)
    assert line in bill(control)
    (added,) = [found for found in bill(control) if found.corrects]
    assert (added.corrects, added.cost_nanousd, added.booked_by) == (line.id, 1_000 - line.cost_nanousd, "approver")
    after = control.get("/cost")
    assert after["agrees"]
    assert after["total_nanousd"] - before["total_nanousd"] == added.cost_nanousd
    assert control.get("/corrections") == [made.json()]
    for _ in range(2):  # what was just booked counts at once, and once
        assert control.get("/score")["cost_nanousd"] == control.get("/cost")["total_nanousd"]
        control.post("/ticks", made_tick(START + timedelta(minutes=30)).model_dump_json())


def test_the_same_correction_again_changes_nothing_and_another_starts_from_what_stands(control: Control) -> None:
    line = billed(control)
    assert asked(control, APPROVER, line=line.id, amount_nanousd=1_000).status_code == 201
    again = asked(control, APPROVER, line=line.id, amount_nanousd=1_000)
    assert (again.status_code, again.json()["error"]) == (409, f"Line {line.id} stands so already.")
    assert asked(control, APPROVER, line=line.id, amount_nanousd=line.cost_nanousd).status_code == 201
    assert sum(found.cost_nanousd for found in bill(control) if found.corrects) == 0


def test_a_line_that_nobody_paid_is_given_to_a_team(control: Control) -> None:
    control.post("/ticks", made_tick(START).model_dump_json())
    adhoc = usage(START, "adhoc", UsageKind.CONSUMED, 1_000_000).model_copy(update={"team": "", "model": "adhoc"})
    control.post("/usage", [adhoc.model_dump(mode="json")])
    (line,) = [found for found in bill(control) if found.kind == "unallocated"]
    assert line.reason == "it names no team"
    before = control.get("/cost?by=section")["sections"]
    assert before["unallocated"] == line.cost_nanousd > 0
    assert asked(control, APPROVER, line=line.id, team="revenue").status_code == 201
    found = control.get("/cost?by=section")
    assert found["agrees"]
    assert found["sections"]["unallocated"] == 0
    assert found["sections"]["showback"] == before["showback"] + line.cost_nanousd
    moved = sum(added.cost_nanousd for added in bill(control) if added.team == "revenue")
    assert moved == line.cost_nanousd == control.get("/budgets?team=revenue")["spent_nanousd_last_30_days"]


def test_what_was_credited_whole_is_charged_again_to_whoever_paid_last(control: Control) -> None:
    line = billed(control)
    for wanted in ({"team": "revenue"}, {"amount_nanousd": 0}, {"amount_nanousd": 5}):
        assert asked(control, APPROVER, line=line.id, **wanted).status_code == 201
    assert sum(found.cost_nanousd for found in bill(control) if found.team == "revenue") == 5


def test_it_takes_somebody_who_signs(control: Control) -> None:
    line = billed(control)
    refused = asked(control, LEARNER, line=line.id, amount_nanousd=0)
    assert refused.status_code == 403
    assert "approver" in refused.json()["error"]
    assert control.get("/corrections") == []


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"line": "0" * 12, "amount_nanousd": 0}, 404, "no line"),
        ({"team": "nobody"}, 404, "no team"),
        ({}, 400, "amount or a team"),
        ({"amount_nanousd": -1}, 400, "amount_nanousd"),
        ({"amount_nanousd": 0, "reason": ""}, 400, "reason"),
    ],
)
def test_what_cannot_be_booked_says_why(control: Control, wanted: dict[str, Any], status: int, said: str) -> None:
    refused = asked(control, APPROVER, **{"line": billed(control).id, **wanted})
    assert refused.status_code == status
    assert said in refused.json()["error"]


def test_a_correction_is_not_corrected_and_never_edited(control: Control) -> None:
    line = billed(control)
    made = asked(control, APPROVER, line=line.id, amount_nanousd=0).json()
    (added,) = [found for found in bill(control) if found.corrects]
    assert asked(control, APPROVER, line=added.id, amount_nanousd=5).status_code == 409
    with sqlite3.connect(control.folder.control_db) as db:
        for statement in ("UPDATE corrections SET corrects = 'x'", "DELETE FROM corrections"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                db.execute(statement)
    assert control.get("/corrections") == [made]


def test_a_line_that_somebody_changed_is_found(control: Control) -> None:
    line = billed(control)
    assert control.get("/cost/verification")["differences"] == []
    with sqlite3.connect(control.folder.control_db) as db:
        db.execute("UPDATE lines SET cost_nanousd = cost_nanousd + 1 WHERE kind = 'used'")
        db.execute("DELETE FROM lines WHERE kind = 'idle'")
    found = control.get("/cost/verification")
    assert not found["agrees"]
    gaps = {
        gap["kind"]: (gap["line"], gap["billed_nanousd"], gap["recomputed_nanousd"]) for gap in found["differences"]
    }
    assert gaps["used"] == (line.id, line.cost_nanousd + 1, line.cost_nanousd)
    assert gaps["idle"][:2] == ("", None)
    assert found["sections"]["idle"]["billed_nanousd"] == 0 < found["sections"]["idle"]["recomputed_nanousd"]
