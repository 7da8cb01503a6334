"""`archlab up | down | reset | status | logs`: a lab's life."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, err, mib, table

if TYPE_CHECKING:
    from archlab.lab import Lab


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(up)
    app.command()(down)
    app.command()(reset)
    app.command()(status)
    app.command()(logs)


def up(
    scenario: Annotated[str | None, typer.Argument(help="Name of a scenario; see: archlab scenarios list")] = None,
    lab: LabOption = None,
    seed: Annotated[int | None, typer.Option(help="Which variant of the scenario; 1 by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the gateway; 8080 or the next free one by default.")] = None,
    target: Annotated[str | None, typer.Option(help="local (processes here) or kube (pods of a cluster).")] = None,
    context: Annotated[str, typer.Option(help="kube: context of the kubeconfig; its current one by default.")] = "",
    gateway: Annotated[
        str, typer.Option(help="kube: where the gateway is reached, if a node's address is not: http://127.0.0.1:PORT")
    ] = "",
) -> None:
    """Bring a lab up; a second time is harmless and quick."""
    from archlab.cli.progress import Steps
    from archlab.lab.lifecycle import up as bring_up
    from archlab.lab.placing import place

    with Steps("Bringing the lab up") as steps:
        kube = place(scenario, lab, target, context=context, gateway=gateway, node_port=port)
        made = bring_up(scenario, steps, lab=lab, seed_number=seed, port=port, kube=kube)
    err.print(f"[green]Lab {made.name} is up[/] after {steps.seconds:.0f} s.")
    _welcome(made)


def down(
    lab: LabOption = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the lab's state as well.")] = False,
) -> None:
    """Stop a lab; its state stays, unless --purge. Twice is harmless."""
    from archlab.errors import NotFoundError
    from archlab.lab import lab_names, open_lab
    from archlab.lab.lifecycle import down as take_down

    if not lab_names() and lab is None:
        console.print("There is no lab here: nothing to stop.")
        return
    try:
        found = open_lab(lab)
    except NotFoundError:
        console.print(f"There is no lab {lab}: nothing to stop.")
        return
    take_down(found, purge=purge)
    console.print(f"Lab {found.name} is {'gone' if purge else 'stopped; its state is kept'}.")


def reset(lab: LabOption = None) -> None:
    """Back to the scenario's start: clock, registry, ledger and your changes."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.lifecycle import reset as put_back

    found = open_lab(lab)
    with Steps("Resetting the lab") as steps:
        put_back(found, steps)
    console.print(f"Lab {found.name} is back at its start after {steps.seconds:.0f} s.")


def status(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Every replica: state, restarts, processor and memory; what scales pools, and why it did."""
    from archlab.cli.autoscale import show
    from archlab.lab import open_lab

    found = open_lab(lab)
    seen = found.target.observe()
    if as_json:
        emit_json({"lab": found.name, **seen.model_dump(mode="json")})
        return
    spread = any(r.region for r in seen.replicas)
    rows = [
        (
            f"{r.unit}-{r.index}",
            *([r.region or "outside"] if spread else []),
            _coloured(r.state.value),
            r.pid or "",
            r.restarts,
            f"{r.cpu_percent:.0f}",
            mib(r.rss_bytes),
            r.detail,
        )
        for r in seen.replicas
    ]
    total = sum(r.rss_bytes for r in seen.replicas)
    numbers = ("pid", "restarts", "CPU %", "RSS MiB")
    columns = ("unit", *(["region"] if spread else []), "state", "pid", "restarts", "CPU %", "RSS MiB", "")
    console.print(table(f"Lab {found.name}", columns, rows, right=numbers))
    show(seen.scaling)
    console.print(f"{found.endpoints.gateway}  ·  {mib(total)} MiB in all")


def logs(
    unit: Annotated[str, typer.Argument(help="A unit or replica, e.g. registry or online-0; or job-NAME.")],
    lab: LabOption = None,
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many lines from the end.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until ^C.")] = False,
) -> None:
    """The output of a unit or of a job."""
    from archlab.lab import open_lab

    for line in open_lab(lab).target.logs(unit, lines=lines, follow=follow):
        typer.echo(line)


def _coloured(state: str) -> str:
    colour = {"ready": "green", "starting": "yellow", "failed": "red"}.get(state, "dim")
    return f"[{colour}]{state}[/]"


def _welcome(lab: Lab) -> None:
    from rich.panel import Panel

    header = lab.folder.tokens / f"{lab.declared.learner}.header"
    if header.is_relative_to(Path.cwd()):
        header = header.relative_to(Path.cwd())
    gateway = lab.endpoints.gateway
    example = f"curl -s -H @{header} {gateway}/v2/models/departure-delay"
    steps = "  archlab dr plan              what is prepared in the second region, and what that costs\n"
    regions = steps if lab.declared.regions else ""
    tour = "  archlab tour                 fifteen minutes through everything\n"
    body = (
        f"[bold]{lab.declared.title}[/], seed {lab.identity.seed}\n"
        f"gateway   {gateway}\n"
        f"registry  {lab.endpoints.registry}    [dim]archlab open mlflow[/]\n"
        f"console   {gateway}/control/    [dim]archlab open console[/]\n\n"
        "[bold]Next[/]\n"
        f"{tour if (lab.content / 'tour.yaml').exists() else ''}{regions}"
        "  archlab clock advance 1d     let the airline live a day\n"
        "  archlab score                what the design earned, missed and cost\n"
        "  archlab predict departure-delay\n"
        "  archlab questions            what you are asked about this lab"
    )
    console.print(Panel(body, title=f"Lab {lab.name}", title_align="left", expand=False))
    console.print("A call that works when pasted:")
    console.print(f"  {example}", soft_wrap=True)
