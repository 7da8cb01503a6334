"""10,000 random histories of a lab: whatever happened, the two paths to its bill agree on every line."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archlab.control import bill, corrections
from archlab.control.corrections import Wanted
from archlab.control.recompute import differences, key, recomputed
from archlab.control.store import Store
from archlab.errors import ConflictError
from archlab.ledger.sharing import Rule, Section, section, sections, split
from archlab.plan.loading import load_scenario
from archlab.settings import scenarios_root
from archlab.spec.money import Line, Purchase
from archlab.spec.scenario import Scenario
from histories import DAY, START, History, book, history

SCENARIO = load_scenario(scenarios_root() / "ten_models" / "scenario.yaml")
BATCH = 100
"""Histories in one database, each on a day of its own."""


def play(db: sqlite3.Connection, scenario: Scenario, number: int, told: History) -> None:
    """Post a history as it came, with control killed now and then before it could commit."""
    for index, post in enumerate(told.posts):
        if index in told.killed:
            db.execute("SAVEPOINT killed")
            bill.record(db, post, scenario)
            db.execute("ROLLBACK TO killed")
        known = {record.id for earlier in told.posts[:index] for record in earlier}
        assert bill.record(db, post, scenario) == len({record.id for record in post} - known)
    day = START + number * DAY
    for share, amount, team in told.corrected:
        lines = bill.read(db, day, day + DAY)
        if originals := [line for line in lines if not line.corrects]:
            wanted = Wanted(
                line=originals[int(share * len(originals))].id,
                amount_nanousd=0 if amount is None and team is None else amount,
                team=team,
                reason="found wrong",
            )
            book_correction(db, lines, scenario, wanted, number)


def book_correction(db: sqlite3.Connection, lines: list[Line], scenario: Scenario, wanted: Wanted, number: int) -> None:
    """Book it; what the line costs then, and who pays, is what was wanted."""
    try:
        made = corrections.book(db, lines, scenario, wanted, "approver", START + number * DAY + DAY / 2)
    except ConflictError:
        return  # it stands so already
    paid: Counter[str] = Counter()
    for line in (*lines, *made.lines):
        if wanted.line in (line.id, line.corrects):
            paid[line.team] += line.cost_nanousd
    before = sum(line.cost_nanousd for line in lines if wanted.line in (line.id, line.corrects))
    assert paid.total() == (before if wanted.amount_nanousd is None else wanted.amount_nanousd)
    payers = {team for team, cost in paid.items() if cost}
    assert len(payers) <= 1
    assert wanted.team is None or payers <= {wanted.team}


def by_day(lines: Iterable[Line]) -> dict[int, list[Line]]:
    found: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        found[(line.start - START) // DAY].append(line)
    return found


def check(lines: list[Line], again: dict[Section, int]) -> None:
    """Showback, shared, idle and unallocated are what the second path says, by every rule."""
    assert sections(lines) == again
    found, total = split(lines), sum(again.values())
    assert found.shared == again[Section.SHARED]
    assert found.unallocated == again[Section.UNALLOCATED] + (0 if found.teams else found.shared)
    for rule in Rule:
        assert sum(team.used + team.idle for team in found.teams) == again[Section.SHOWBACK] + again[Section.IDLE]
        assert sum(team.total(rule) for team in found.teams) + found.unallocated == total


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_a_history_that_disagrees_would_be_made_small(random: Random) -> None:
    """As below, with a tool that shrinks."""
    declared = SCENARIO.model_copy(update={"prices": book(random, 1)})
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "control.db")
        bill.prepare(store)
        with store.write() as db:
            play(db, declared, 0, history(random, 0))
            lines = bill.read(db)
            again = recomputed(db, lines, declared.prices)
        store.close()
    assert differences(lines, again) == []
    check(lines, {part: again.sections.get(part, 0) for part in Section})


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [range(first, first + 25) for first in range(0, 100, 25)], ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}"
)
def test_ten_thousand_histories_agree_to_the_nano_dollar(tmp_path: Path, seeds: range) -> None:
    seen: dict[str, int] = defaultdict(int)
    for seed in seeds:
        random = Random(seed)
        declared = SCENARIO.model_copy(update={"prices": book(random, BATCH)})
        store = Store(tmp_path / f"{seed}.db")
        bill.prepare(store)
        with store.write() as db:
            for number in range(BATCH):
                play(db, declared, number, history(random, number))
        with store.read() as db:
            lines = bill.read(db)
            again = recomputed(db, lines, declared.prices)
        store.close()
        assert differences(lines, again) == []
        costs = {line.id: again.lines[key(line)] for line in lines}
        for own in by_day(lines).values():
            parts = dict.fromkeys(Section, 0)
            for line in own:
                parts[section(line)] += costs[line.id]
            check(own, parts)
        pieces = Counter((line.usage_id, line.kind, line.purchase) for line in lines)
        seen["split"] += sum(count > 1 for count in pieces.values())
        for line in lines:
            seen[section(line)] += 1
            seen["corrected"] += bool(line.corrects)
            seen["drawn"] += line.purchase is Purchase.RESERVED and line.mode == "online"
            seen["unused"] += line.mode == "commitment"
    least = min(seen[name] for name in (*Section, "corrected", "drawn", "unused", "split"))
    assert least > 100, dict(seen)
