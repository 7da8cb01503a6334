"""`archlab compare`: a challenger against its champion, by figures that say how sure they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

if TYPE_CHECKING:
    from archlab.spec.comparison import Comparison, Interval, Mirrored, VersionTraffic


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    model: str,
    since: Annotated[
        str | None,
        typer.Option(help="Only requests since then, by the wall clock: 30m, 2h, or 2026-11-24T09:00:00Z."),
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Champion and challenger: requests, the distinct flights behind them, errors, latency, quality, and what follows.

    Many requests about few flights say little: intervals and verdicts count flights.
    """
    from urllib.parse import quote

    from archlab.lab import open_lab
    from archlab.spec.comparison import Comparison

    start = "" if since is None else f"?since={quote(parse_since(since, datetime.now(UTC)).isoformat())}"
    found = Comparison.model_validate(open_lab(lab).control.get(f"/comparisons/{quote(model)}{start}"))
    if as_json:
        emit_json(found.model_dump(mode="json"))
        return
    _print(found)


def parse_since(text: str, now: datetime) -> datetime:
    """A span before now, or a moment.

    Raises:
        UserError: it is neither.
    """
    from archlab.errors import UserError
    from archlab.lab.clock import parse_span

    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            span: timedelta = parse_span(text)
        except UserError:
            raise UserError(
                f"{text!r} is neither a span nor a time.", "Write 30m, 2h or 2026-11-24T09:00:00Z."
            ) from None
        return now - span
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print(found: Comparison) -> None:
    if found.versions:
        from archlab.spec.comparison import METRIC_NAMES

        counted = ("requests", found.asked_about, "labelled", "errors", "p50 ms", "p99 ms")
        columns = ("version", "role", "traffic", *counted, f"{METRIC_NAMES[found.metric]} [95 %]")
        rows = [_row(version) for version in found.versions]
        title = f"{found.model}, labels known on {found.now:%d %b %H:%M}Z"
        console.print(table(title, columns, rows, right=counted))
        if found.mirrored and found.mirrored.pairs:
            console.print(_pairs(found.mirrored))
        console.print()
    for line in found.conclusions:
        console.print(line, soft_wrap=True)
    if found.versions:
        began = f"Requests since {found.since:%Y-%m-%d %H:%M:%S}Z. " if found.since else ""
        console.print(f"[dim]{began}{found.method}[/]", soft_wrap=True)


def _row(version: VersionTraffic) -> tuple[str, ...]:
    return (
        version.version,
        version.role or "gone",
        version.traffic,
        *(f"{n:,}" for n in (version.requests, version.subjects, version.labelled_subjects, version.errors)),
        *("" if ms is None else f"{ms:.1f}" for ms in (version.p50_ms, version.p99_ms)),
        _interval(version.quality),
    )


def _interval(quality: Interval | None) -> str:
    return "" if quality is None else f"{quality.value:.3f} [{quality.low:.3f}, {quality.high:.3f}]"


def _pairs(mirrored: Mirrored) -> str:
    said = []
    if mirrored.correlation is not None:
        said.append(f"correlation of the two predictions {mirrored.correlation:.3f}")
    if mirrored.latency_difference_ms is not None:
        said.append(f"a copy takes {mirrored.latency_difference_ms:+.2f} ms (median)")
    return f"{mirrored.pairs:,} pairs: {', '.join(said)}"
