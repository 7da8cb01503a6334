"""`archlab load`: the scenario's load, judged against what its callers were promised."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, err, table

if TYPE_CHECKING:
    from pathlib import Path

    from archlab.lab import Lab
    from archlab.spec.scenario import Scenario

ENOUGH = 100
"""Requests from which a 99th percentile is more than the slowest one."""

RATE_PER_USER = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One model under load, against its SLO."""

    model: str
    requests: int
    failures: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    slo_p99_ms: int
    availability: float
    slo_availability: float
    verdict: str
    """`kept`, `broken: ...`, or `too few` to judge the latency by."""
    reason: str = ""
    """Of the failures, the most frequent."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(load)


def load(
    users: Annotated[int, typer.Option(min=1, max=1000, help="Callers at once.")] = 20,
    run_time: Annotated[str, typer.Option(help="How long: 30s, 5m.")] = "30s",
    rate: Annotated[
        float | None, typer.Option(min=0.1, help="Requests per second in all; 5 per user by default.")
    ] = None,
    web: Annotated[bool, typer.Option("--web", help="Open locust's own page instead, until ^C.")] = False,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Drive real flights at a constant rate (open loop) and judge each model; exit code 1 when an SLO is broken."""
    from archlab.lab import open_lab
    from archlab.lab.driving import script_of

    found = open_lab(lab)
    script = script_of(found)
    per_user = (rate / users) if rate else RATE_PER_USER
    if web:
        _web(found, script, users, per_user)
        return
    rows, seconds = _headless(found, script, users, _seconds(run_time), per_user)
    _show(rows, seconds, users * per_user, as_json)
    if any(r.verdict.startswith("broken") for r in rows):
        raise typer.Exit(1)


def judge(result: dict[str, Any], scenario: Scenario) -> list[Row]:
    """What a run's result says about each model's SLO."""
    return [
        _row(name, facts, result["seconds"], scenario)
        for name, facts in sorted(result["models"].items())
        if facts["requests"]
    ]


def _row(name: str, facts: dict[str, Any], seconds: float, scenario: Scenario) -> Row:
    slo = scenario.model(name).slo
    requests, failures = facts["requests"], facts["failures"]
    availability = 1 - failures / requests
    broken = []
    if failures > (1 - slo.availability) * requests:
        broken.append(f"availability {availability:.4f} < {slo.availability}")
    if requests >= ENOUGH and facts["p99_ms"] > slo.p99_ms:
        broken.append(f"p99 {facts['p99_ms']:.0f} > {slo.p99_ms} ms")
    verdict = f"broken: {', '.join(broken)}" if broken else "kept" if requests >= ENOUGH else "too few"
    return Row(
        model=name,
        requests=requests,
        failures=failures,
        per_second=requests / seconds,
        p50_ms=facts["p50_ms"],
        p95_ms=facts["p95_ms"],
        p99_ms=facts["p99_ms"],
        slo_p99_ms=slo.p99_ms,
        availability=availability,
        slo_availability=slo.availability,
        verdict=verdict,
        reason=next(iter(facts["reasons"]), ""),
    )


def _headless(lab: Lab, script: Path, users: int, seconds: int, per_user: float) -> tuple[list[Row], float]:
    from archlab.lab.driving import drive, prepared

    with err.status(f"{users} callers for {seconds} s, {users * per_user:g} requests/s offered"):
        # ahead: what the preparation takes would be missing from the run
        facts = drive(lab, script, users, seconds, per_user, {"ARCHLAB_LOAD_REQUESTS": str(prepared(lab, script))})
    return judge(facts, lab.scenario), float(facts["seconds"])


def _web(lab: Lab, script: Path, users: int, per_user: float) -> None:
    import socket
    import subprocess

    from archlab.lab.driving import environment, locust

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    console.print(f"locust's page: [bold]http://127.0.0.1:{port}[/]   (^C ends it)")
    command = [*locust(script, lab, users), "--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)]
    try:
        subprocess.run(command, env=environment(lab, per_user), check=False)
    except KeyboardInterrupt:
        console.print("Load ended.")


def _seconds(text: str) -> int:
    import re

    from archlab.errors import UserError

    found = re.fullmatch(r"(\d{1,5})(s|m)?", text.strip())
    seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 0
    if not 1 <= seconds <= 3600:
        raise UserError(f"{text!r} is not a run time.", "Write 30s or 5m; at most an hour.")
    return seconds


def _show(rows: list[Row], seconds: float, offered: float, as_json: bool) -> None:
    requests, failures = sum(r.requests for r in rows), sum(r.failures for r in rows)
    if as_json:
        emit_json(
            {
                "seconds": seconds,
                "offered_per_second": offered,
                "requests": requests,
                "failures": failures,
                "per_second": requests / seconds,
                "broken": [r.model for r in rows if r.verdict.startswith("broken")],
                "models": [asdict(r) for r in rows],
            }
        )
        return
    columns = ("model", "requests", "per s", "p50", "p95", "p99", "SLO p99", "errors", "verdict")
    cells = [
        (
            r.model,
            r.requests,
            f"{r.per_second:.1f}",
            f"{r.p50_ms:.1f}",
            f"{r.p95_ms:.1f}",
            f"{r.p99_ms:.1f}",
            r.slo_p99_ms,
            r.failures,
            _coloured(r.verdict),
        )
        for r in rows
    ]
    console.print(table("Load, milliseconds from the intended start", columns, cells, right=columns[1:-1]))
    console.print(
        f"\n{requests:,} requests in {seconds:.0f} s: {requests / seconds:.1f}/s of {offered:g}/s offered; "
        f"{failures} failed. [dim]Too few: under {ENOUGH} requests a p99 is just the slowest one.[/]"
    )
    for row in rows:
        if row.reason:
            console.print(f"[red]{row.model}[/]: {row.reason}", markup=True, soft_wrap=True)


def _coloured(verdict: str) -> str:
    colour = "red" if verdict.startswith("broken") else "green" if verdict == "kept" else "dim"
    return f"[{colour}]{verdict}[/]"
