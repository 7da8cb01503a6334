"""`archlab dr plan`: what each posture lets expect and costs, beside what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table, usd
from archlab.cli.dr_files import copies_json, files_table, seconds

if TYPE_CHECKING:
    from rich.console import RenderableType

    from archlab.lab.postures import Option
    from archlab.plan.postures import Mechanic, Mechanics
    from archlab.spec.regions import Takeover


def show_plan(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """What each tier may expect in each posture, what that costs in 30 days (modelled), and what was measured."""
    from dataclasses import asdict

    from archlab.lab import open_lab, postures, regional
    from archlab.lab.copies import copies
    from archlab.plan.copies import expected_copies
    from archlab.plan.postures import mechanics

    found = open_lab(lab)
    done, drilled = regional.takeovers(found), _drilled()
    known = mechanics(done)
    options = postures.options(found, known)
    files, kept = expected_copies(regional.regions(found), done), copies(found)
    if as_json:
        told = {name: {"seconds": m.seconds, "source": m.source, "runs": m.runs} for name, m in _named(known)}
        emit_json(
            {
                "basis": "modelled",
                "mechanics": told,
                "options": [asdict(o) for o in options],
                "files": [asdict(o) for o in files],
                **copies_json(kept),
                "runbooks": [t.model_dump(mode="json", exclude={"posture"}) for t in done],
                "drills": drilled,
            }
        )
        return
    console.print(_options(options))
    for tier, names in {o.tier: ", ".join(o.contains) for o in options}.items():
        console.print(f"  {tier.value}: {names or 'nothing'}")
    told_with = "; ".join(f"{name} {m.seconds:.2g} s ({m.source})" for name, m in _named(known))
    console.print(f"Computed with: {told_with}.", style="dim")
    console.print(files_table(files, kept))
    _measured(done, drilled)


def _options(options: list[Option]) -> RenderableType:
    first = options[0].posture
    rows = [
        (
            o.tier.value if o.posture is first else "",
            f"{o.posture.value}{' *' if o.chosen else ''}",
            seconds(o.expected.answers_rto_s),
            seconds(o.expected.writes_rto_s),
            seconds(o.expected.rpo_s),
            usd(o.cost_nanousd),
            o.expected.why,
        )
        for o in options
    ]
    columns = ("tier", "posture", "RTO answers", "RTO writes", "RPO", "USD in 30 d", "why")
    title = "Modelled: what a tier may expect when a region is lost (* as it is now)"
    return table(title, columns, rows, right=columns[2:6], wrap=("why",))


def _named(known: Mechanics) -> tuple[tuple[str, Mechanic], ...]:
    return (("promote", known.promote), ("start", known.start), ("restore", known.restore))


def _measured(done: list[Takeover], drilled: list[dict[str, object]]) -> None:
    rows = [
        (f"{t.began:%m-%d %H:%M}", f"{t.runbook} {t.region}", f"{sum(t.seconds.values()):.1f} s from the decision")
        for t in done
    ]
    rows += [
        (
            "drills",
            f"{d['drill']}, {d['replication']}",
            f"RTO {d['median_rto_s']} s (median), RPO {d['worst_rpo_s']} s (worst) of {d['runs']} runs",
        )
        for d in drilled
    ]
    if rows:
        console.print(table("Measured", ("when", "what", "seen"), rows))
    else:
        console.print("Nothing was measured yet: archlab dr kill REGION, archlab dr failover; archlab drill run.")


def _drilled() -> list[dict[str, object]]:
    """Of the drills that ran on their own testbed: median RTO and worst RPO, by drill and replication."""
    from statistics import median

    from archlab.drills import records

    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for report in records.all_reports().values():
        seen = report.measured
        if seen and seen.rto_s is not None and seen.rpo_s is not None:
            key = report.drill, report.posture.replication.value
            found.setdefault(key, []).append((seen.rto_s, seen.rpo_s))
    return [
        {
            "drill": drill,
            "replication": replication,
            "runs": len(runs),
            "median_rto_s": round(median(r for r, _ in runs), 2),
            "worst_rpo_s": round(max(p for _, p in runs), 2),
        }
        for (drill, replication), runs in sorted(found.items())
    ]
