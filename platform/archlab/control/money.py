"""Calls about money: the bill and its parts, its verification, corrections, budgets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from archlab.control import bill, budget, corrections
from archlab.control.corrections import Wanted
from archlab.control.edge import Call, respond
from archlab.errors import ArchlabError, UserError
from archlab.ledger import grouping
from archlab.ledger.sharing import sections
from archlab.spec.money import Basis, PriceBook, Usage

_WITHIN_S = 120
_TRIES = 3


def post_usage(call: Call) -> Any:
    """Record usage outside ticks."""
    usages, scenario = call.body(list[Usage]), call.service.scenario
    with call.service.store.write() as db:
        return {"recorded": bill.record(db, usages, scenario)}


def get_lines(call: Call) -> Any:
    """Lines of the bill that are the asker's; `by=day` sums them per day."""
    with call.service.store.read() as db:
        lines = call.seen.lines(bill.read(db))
    if (by := call.query.get("by", "")) not in ("", "day"):
        raise UserError(f"Lines can't be summed by {by!r}.", "Use by=day, or GET /cost?by=…")
    return grouping.daily(lines) if by else lines


def get_cost(call: Call) -> Any:
    """The bill, grouped, with its total by both paths."""
    by = [name for name in call.query.get("by", "model,mode,kind").split(",") if name]
    grouping.check(by)
    if not call.seen.everything:
        return _own_cost(call, by)
    for _ in range(_TRIES):
        with call.service.store.read() as db:
            lines, beyond = bill.read(db), bill.read_overflow(db)
        found, total = _verified(call), sum(line.cost_nanousd for line in lines)
        if found["total_nanousd"] == total:  # else a tick was recorded in between
            break
    return {
        "lines": grouping.group(lines, by),
        "total_nanousd": found["total_nanousd"],
        "recomputed_nanousd": found["recomputed_nanousd"],
        "agrees": found["agrees"],
        "sections": sections(lines),
        "emulated_nanousd": sum(line.cost_nanousd for line in lines if line.basis is Basis.EMULATED),
        "overflow": [{**o.interval._asdict(), "quantity": o.quantity} for o in beyond],
    }


def _own_cost(call: Call, by: list[str]) -> dict[str, Any]:
    """A team's part of the bill; that the whole is right is recomputed for those who see the whole."""
    with call.service.store.read() as db:
        lines = call.seen.lines(bill.read(db))
    return {
        "lines": grouping.group(lines, by),
        "total_nanousd": sum(line.cost_nanousd for line in lines),
        "recomputed_nanousd": None,
        "agrees": None,
        "sections": sections(lines),
        "emulated_nanousd": sum(line.cost_nanousd for line in lines if line.basis is Basis.EMULATED),
        "overflow": [],
    }


def get_verification(call: Call) -> Any:
    """Both paths to the bill, and every line on which they differ."""
    call.seen.require_everything("The whole bill")
    return _verified(call)


def get_corrections(call: Call) -> Any:
    """What was booked, oldest first."""
    call.seen.require_everything("What was corrected")
    _ = call.service.scenario
    with call.service.store.read() as db:
        return corrections.read(db)


def post_correction(call: Call) -> Any:
    """Book a correction as the caller: not whoever runs the platform, but who signs for it."""
    call.seen.require_everything("A correction")
    wanted, service = call.body(Wanted), call.service
    by, now, scenario = call.user, service.business_time(), service.scenario
    with service.store.write() as db:
        made = corrections.book(db, bill.read(db), scenario, wanted, by, now)
    return respond(made, 201)


def get_budget(call: Call) -> Any:
    """What a team's models cost, as planned for 30 days and as billed in the last 30; `?team=`, else of every team."""
    service, team = call.service, call.query.get("team", "")
    if team:
        call.seen.require_team(team)
    now, scenario, plan = service.business_time(), service.scenario, service.desired.plan
    with service.store.read() as db:
        if team:
            return budget.of_teams(db, scenario, plan, [team], now)[0]
        names = [each.name for each in scenario.teams if call.seen.team(each.name)]
        return budget.of_teams(db, scenario, plan, names, now)


def _verified(call: Call) -> dict[str, Any]:
    return verified(call.service.folder.control_db, call.service.scenario.prices)


def verified(database: Path, prices: PriceBook) -> dict[str, Any]:
    """The bill by both paths, in a process of its own (DuckDB does not stay in control's memory)."""
    command = [sys.executable, "-m", "archlab.control.recompute", str(database)]
    done = subprocess.run(command, input=prices.model_dump_json(), capture_output=True, text=True, timeout=_WITHIN_S)
    if done.returncode:
        raise ArchlabError(
            f"The bill could not be recomputed: {done.stderr.strip()[-500:]}", "See: archlab logs control"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
