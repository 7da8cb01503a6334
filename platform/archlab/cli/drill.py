"""`archlab drill …`: lose a region for real and see, from outside, what callers lose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, console, emit_json, table
from archlab.errors import NotFoundError, UsageError, UserError
from archlab.spec.drill_kinds import (
    BACKUPS_KEPT,
    CHECK_EVERY_MS,
    FAILURES_TO_DETECT,
    LATENCY_MS,
    PATIENCE_S,
    WITHIN_S,
    Recovery,
    Replication,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from archlab.drills.trend import Course
    from archlab.spec.drill import DrillReport, Surprise

NAMESPACE = "archlab-drill"
COLOURS = {Verdict.GREEN: "green", Verdict.RED: "red", Verdict.VOID: "yellow"}

HtmlOption = Annotated[
    Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page that needs nothing else.")
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Lose a region; a probe outside measures what callers lose.", no_args_is_help=True)
    group.command("list")(list_drills)
    group.command("run")(run)
    for command in (look, declare, failover, restore, rollback, restart):
        group.command()(command)
    group.command("report")(report)
    group.command("trend")(trend)
    app.add_typer(group, name="drill")


def list_drills(as_json: JsonOption = False) -> None:
    """The drills, what each asks for, where it runs, and how it ended last."""
    from archlab.drills import experiments, records
    from archlab.drills.run import runs_on_cluster

    last = {r.drill: (name, r) for name, r in records.all_reports().items()}
    drills = [experiments.load(name) for name in experiments.names()]
    if as_json:
        emit_json(
            [
                {
                    "drill": d.name,
                    "title": d.title,
                    "description": d.description,
                    "targets": ["local", "kube"] if runs_on_cluster(d) else ["local"],
                    "objectives": {k: v.model_dump(mode="json") for k, v in d.objectives.items()},
                    "last": last[d.name][0] if d.name in last else None,
                    "verdict": last[d.name][1].verdict if d.name in last else None,
                }
                for d in drills
            ]
        )
        return
    rows = [
        (
            *(d.name, d.description, "local, kube" if runs_on_cluster(d) else "local"),
            _last(last[d.name][1]) if d.name in last else "",
        )
        for d in drills
    ]
    console.print(table("Drills", ("drill", "what happens", "target", "last run"), rows, wrap=("what happens",)))


DrillArgument = Annotated[str | None, typer.Argument(help="One of: archlab drill list")]
SurpriseOption = Annotated[
    str | None, typer.Option(metavar="CODE", help="Let a code choose: the same drill and moment everywhere.")
]
ReplicationOption = Annotated[Replication, typer.Option(help="Whether a write counts before the other region has it.")]
RecoveryOption = Annotated[
    Recovery, typer.Option(help="Who fails over: the platform, you (archlab drill failover), nobody.")
]
LatencyOption = Annotated[float, typer.Option(min=0, max=1000, help="Milliseconds between the regions, one way.")]
BandwidthOption = Annotated[int, typer.Option(help="Kilobytes a second between the regions; 0: no limit.", min=0)]
CheckOption = Annotated[int, typer.Option(min=20, max=60_000, help="Milliseconds between two checks.")]
FailuresOption = Annotated[int, typer.Option(min=1, max=100, help="Failed checks in a row that are an outage.")]
LossOption = Annotated[
    bool, typer.Option("--accept-data-loss", help="Fail over even if acknowledged writes may be missing.")
]
ContentOption = Annotated[
    bool, typer.Option("--check-content", help="Let the platform's check compare what a model answers.")
]
VerifyOption = Annotated[
    bool, typer.Option("--verify-backups", help="Restore backups and compare them before they are needed.")
]
KeptOption = Annotated[
    int, typer.Option("--keep-backups", min=1, max=365, help="How many backups stay; a verified one always does.")
]
PatienceOption = Annotated[
    int, typer.Option(min=1, max=7200, help="With manual recovery: seconds until the drill gives up.")
]
WithinOption = Annotated[
    int, typer.Option(min=1, max=3600, help="With a surprise: the fault comes this many seconds later at most.")
]
RtoOption = Annotated[
    float | None, typer.Option(min=0.1, help="What your plan promises, in seconds; instead of the drill's own.")
]
TargetOption = Annotated[
    str, typer.Option("--target", help="Where the regions are: local (processes here) or kube (pods of a cluster).")
]
ContextOption = Annotated[str, typer.Option(help="kube: context of the kubeconfig; its current one by default.")]
NamespaceOption = Annotated[
    str, typer.Option(help="kube: namespace of the gateway; the regions' are called <namespace>-east and -west.")
]
GatewayOption = Annotated[
    str, typer.Option(help="kube: where the gateway is reached, if a node's address is not: http://127.0.0.1:PORT")
]
PortOption = Annotated[int, typer.Option(min=0, max=65_535, help="kube: the gateway's node port; 0: any that is free.")]
RpoOption = Annotated[float | None, typer.Option(min=0, help="The same for lost writes, in seconds.")]


def run(
    drill: DrillArgument = None,
    surprise: SurpriseOption = None,
    replication: ReplicationOption = Replication.SYNCHRONOUS,
    recovery: RecoveryOption = Recovery.AUTOMATIC,
    latency: LatencyOption = LATENCY_MS,
    bandwidth: BandwidthOption = 0,
    check_every: CheckOption = CHECK_EVERY_MS,
    failures: FailuresOption = FAILURES_TO_DETECT,
    accept_data_loss: LossOption = False,
    check_content: ContentOption = False,
    verify_backups: VerifyOption = False,
    keep_backups: KeptOption = BACKUPS_KEPT,
    patience: PatienceOption = PATIENCE_S,
    within: WithinOption = WITHIN_S,
    rto: RtoOption = None,
    rpo: RpoOption = None,
    target: TargetOption = "local",
    context: ContextOption = "",
    namespace: NamespaceOption = NAMESPACE,
    gateway: GatewayOption = "",
    port: PortOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Run a drill on two regions made for it. Exit code 1 when it is not green."""
    from archlab.cli.progress import Steps
    from archlab.drills.run import run as carry_out
    from archlab.lab.placing import place
    from archlab.spec.drill import Objectives, Posture

    posture = Posture(
        replication=replication,
        recovery=recovery,
        latency_ms=latency,
        bytes_per_s=bandwidth * 1000 or None,
        check_every_ms=check_every,
        failures_to_detect=failures,
        accept_data_loss=accept_data_loss,
        check_content=check_content,
        verify_backups=verify_backups,
        backups_kept=keep_backups,
        patience_s=patience,
    )
    kube = place(None, namespace, target, context=context, gateway=gateway, node_port=port)
    drawn = _drawn(drill, surprise, within, on_cluster=kube is not None)
    wanted = Objectives(rto_s=rto, rpo_s=rpo)
    with Steps(f"Drill {drill or 'surprise'}") as steps:
        folder, found = carry_out(drill, posture, steps, surprise=drawn, objectives=wanted, place=kube)
    _publish(folder.name, found, as_json=as_json, without={"journal"})
    if found.verdict is not Verdict.GREEN:
        raise typer.Exit(1)


def _drawn(drill: str | None, code: str | None, within: int, *, on_cluster: bool) -> Surprise | None:
    """What a code draws; None where a drill is named."""
    from archlab.drills import experiments, surprise
    from archlab.drills.run import runs_on_cluster

    if (drill is None) == (code is None):
        raise UsageError("Name a drill, or let a code choose one: --surprise CODE.", "Drills: archlab drill list")
    if code is None:
        return None
    known = (experiments.load(name) for name in experiments.names())
    names = [d.name for d in known if d.surprise and (runs_on_cluster(d) or not on_cluster)]
    return surprise.draw(code, names, within)


def look() -> None:
    """During a drill, from a second terminal: what callers see, and what each region says."""
    _order("look")


def declare() -> None:
    """During a drill: say that there is an outage. The moment counts as your detection."""
    _order("declare")


def failover(
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Even if acknowledged writes may be missing.")
    ] = False,
) -> None:
    """During a drill with --recovery manual: order that the other region takes over."""
    _order("failover", accept_data_loss=accept_data_loss)


def restore() -> None:
    """During a drill with --recovery manual: order a restore to the moment before a mistake."""
    _order("restore")


def rollback() -> None:
    """During a drill with --recovery manual: order that the release before is served again."""
    _order("rollback")


def restart() -> None:
    """During a drill with --recovery manual: order that the policy engine starts again."""
    _order("restart")


def _order(what: str, *, accept_data_loss: bool = False) -> None:
    from archlab.drills.orders import Order, What, give

    for line in give(Order(what=What(what), accept_data_loss=accept_data_loss)):
        console.print(line, markup=False, soft_wrap=True)


def report(
    drill: Annotated[str | None, typer.Argument(help="Which run; the last one by default.")] = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a drill measured, and what happened when; with --html a page for people who were not there."""
    from archlab.drills import records

    folder, found = records.one(drill)
    if html:
        from archlab.drills import page

        _write(html, page.render(folder.name, found, records.attempts(folder)))
        return
    _publish(folder.name, found, as_json=as_json)


def trend(html: HtmlOption = None, as_json: JsonOption = False) -> None:
    """All kept drills side by side."""
    from archlab.drills import records
    from archlab.drills.figures import seconds
    from archlab.drills.trend import courses, render

    reports = records.all_reports()
    if not reports:
        raise NotFoundError("No drill was run here yet.", "Run one: archlab drill run NAME")
    if html:
        _write(html, render(reports))
        return
    found = courses(reports)
    if as_json:
        emit_json([_course(c) for c in found])
        return
    rows = [
        (
            *(c.drill, c.replication.value, c.target.value, *(c.ended(verdict) for verdict in Verdict)),
            *(seconds(c.median_rto_s), seconds(c.last_rto_s, "never"), seconds(c.worst_rpo_s, "unknown")),
            "unknown" if c.most_lost is None else f"{c.most_lost:,}",
        )
        for c in found
    ]
    columns = (
        "drill",
        "replication",
        "target",
        "green",
        "red",
        "void",
        "RTO, median",
        "last",
        "RPO, worst",
        "most writes lost",
    )
    console.print(table("Drills over time", columns, rows, right=columns[3:]))


def _course(found: Course) -> dict[str, object]:
    return {
        "drill": found.drill,
        "replication": found.replication,
        "target": found.target,
        **{verdict.value: found.ended(verdict) for verdict in Verdict},
        "median_rto_s": found.median_rto_s,
        "last_rto_s": found.last_rto_s,
        "worst_rpo_s": found.worst_rpo_s,
        "most_lost": found.most_lost,
    }


def _publish(name: str, found: DrillReport, *, as_json: bool, without: Collection[str] = ()) -> None:
    """Show a report, or print all of it but what is left out."""
    if not as_json:
        _show(name, found)
        return
    from dataclasses import asdict

    from archlab.drills import tiers

    whole = found.model_dump(mode="json", exclude=set(without))
    emit_json({"id": name, **whole, "tiers": [asdict(one) for one in tiers.of(found)]})


def _show(name: str, found: DrillReport) -> None:
    from archlab.drills import tiers
    from archlab.drills.figures import figures
    from archlab.drills.page import CAVEATS

    colour = COLOURS[found.verdict]
    if found.surprise:
        console.print(f"The surprise of {found.surprise.code!r} was {found.drill}.", markup=False)
    console.print(f"[bold]{found.title}[/] ({name}): [{colour}]{found.verdict.value}[/]")
    for reason in found.reasons:
        console.print(f"  {reason}", markup=False)
    moments = [(f"{e.at - found.clock_zero:.2f}", e.name, e.detail) for e in found.events]
    console.print(table("What happened", ("s", "event", "detail"), moments, right=("s",), wrap=("detail",)))
    if found.measured:
        rows = [(f.name, f.value, f.objective, f.clock) for f in figures(found)]
        console.print(table("What callers saw", ("", "measured", "objective", "clock"), rows))
        lines = [
            (t.tier.value if f is t.figures[0] else "", f.name, f.value, f.objective, f.basis)
            for t in tiers.of(found)
            for f in t.figures
        ]
        console.print(table("What it means for each tier", ("tier", "", "value", "objective", "basis"), lines))
    posture = found.posture
    how = f"Replication {posture.replication.value}, recovery {posture.recovery.value}"
    console.print(f"{how}, {posture.latency_ms:g} ms one way between the regions. {CAVEATS[found.target]}", style="dim")


def _write(path: Path, page: str) -> None:
    from archlab.files import write_atomic

    try:
        write_atomic(path, page, mode=0o644)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}.", "Name another file.") from None
    console.print(f"Wrote {path}.", soft_wrap=True)


def _last(found: DrillReport) -> str:
    return f"[{COLOURS[found.verdict]}]{found.verdict.value}[/] {found.began:%Y-%m-%d %H:%M}"
