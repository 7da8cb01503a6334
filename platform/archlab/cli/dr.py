"""`archlab dr`: two regions, what is prepared in the second one, and the runbooks for when the first is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table
from archlab.cli.dr_files import copies_json, copies_table
from archlab.cli.dr_plan import show_plan
from archlab.cli.schedule import NO_MORE, EveryOption, scheduled

if TYPE_CHECKING:
    from archlab.lab import Lab
    from archlab.recovery.runbook import Done

RegionArgument = Annotated[str, typer.Argument(help="One of: archlab dr status")]
BUSY_S = 60.0
"""How long a backup waits for a command that changes the lab."""
OUTSIDE = "Gateway, control and the lines between the regions stand outside both; so does whoever measures."


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Two regions: postures, failover, failback.", no_args_is_help=True)
    group.command("plan")(show_plan)
    group.command("set")(set_posture)
    for command in (status, assign, backup, copy, failover, failback, isolate, kill, revive, cut, mend, probe):
        group.command()(command)
    app.add_typer(group, name="dr")


def status(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Both regions: which is primary, who follows, what is fenced and why, what has been copied, what is lacking."""
    from archlab.lab import open_lab, regional
    from archlab.lab.copies import copies

    found = open_lab(lab)
    state, seen, kept = regional.state(found), regional.pair(found).standing(), copies(found)
    if as_json:
        regions = [s.model_dump(mode="json") for s in seen]
        emit_json({"state": state.model_dump(mode="json"), "regions": regions, **copies_json(kept)})
        return
    rows = [
        (
            s.region,
            "primary" if s.region == state.primary else "lost" if s.region in state.lost else "second",
            s.database,
            f"{s.follower.behind_bytes:,}" if s.follower else "",
            s.link,
            s.fenced,
        )
        for s in seen
    ]
    columns = ("region", "role", "database", "bytes behind", "line to the other", "fenced")
    console.print(table(f"Regions of lab {found.name}", columns, rows, right=("bytes behind",), wrap=("fenced",)))
    waits = "No write counts before both regions have it." if state.synchronous else "Writes wait for one region only."
    console.print(f"{waits} {OUTSIDE}", style="dim")
    if kept.kept:
        console.print(copies_table(kept))
    for sentence in kept.shortfall:
        console.print(sentence, style="bold", markup=False)


def set_posture(
    tier: Annotated[str, typer.Argument(help="critical, important or best-effort")],
    setting: Annotated[
        str,
        typer.Argument(help="posture, replication, backup-every, backup-keep, check-every (ms), failures or promotion"),
    ],
    value: Annotated[
        str,
        typer.Argument(
            help="backup-only|pilot-light|warm-standby|active-active; sync|async; 30s, 5m; a number; automatic|manual"
        ),
    ],
    lab: LabOption = None,
) -> None:
    """Change how a tier is prepared; carried out at once, and paid for from now on."""
    from archlab.lab.preparing import change_posture, parse_posture, parse_tier

    wanted, change = parse_tier(tier), parse_posture(setting, value)
    _changed(lab, f"dr set {tier} {setting}", lambda found, steps: change_posture(found, wanted, change, steps))


def assign(
    name: Annotated[str, typer.Argument(help="A model, or registry, artifacts, features, ledger, policy.")],
    tier: Annotated[str, typer.Argument(help="critical, important or best-effort")],
    lab: LabOption = None,
) -> None:
    """Put a model, or a part of the platform, into a tier."""
    from archlab.lab.preparing import assign_tier, parse_tier

    wanted = parse_tier(tier)
    _changed(lab, f"dr assign {name}", lambda found, steps: assign_tier(found, name, wanted, steps))


def backup(
    every: EveryOption = None,
    lab: LabOption = None,
) -> None:
    """Where the registry's tier is backup-only: a base backup of its database; the oldest but backup-keep go."""
    from archlab.lab import open_lab, regional
    from archlab.lab.lock import exclusive

    found = open_lab(lab)

    def once() -> None:
        with exclusive(found.folder, "dr backup", patience_s=BUSY_S):
            console.print(regional.back_up(found), markup=False, soft_wrap=True)

    scheduled(once, every, NO_MORE)


def copy(lab: LabOption = None) -> None:
    """Have the second region take now what it lacks, of parts that are copied there at intervals."""
    from archlab.lab import open_lab, regional
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, "dr copy"):
        for part in regional.copy_now(found):
            console.print(f"{part.part.value}: {part.files} files, {part.size_bytes:,} bytes, nothing missing")


def failover(
    accept_data_loss: Annotated[
        bool, typer.Option("--accept-data-loss", help="Go on even if acknowledged writes may be missing.")
    ] = False,
    lab: LabOption = None,
) -> None:
    """The other region takes over: assess, fence, promote, scale up, verify. Killed on the way, run it again."""
    from archlab.lab import regional

    _runbook(lab, "failover", lambda found, steps: regional.failover(found, steps, accept_data_loss=accept_data_loss))


def failback(lab: LabOption = None) -> None:
    """The lost region comes back, and the first region is primary again."""
    from archlab.lab import regional

    _runbook(lab, "failback", regional.failback)


def isolate(region: RegionArgument, lab: LabOption = None) -> None:
    """Leave the second region out, so that nothing waits for it; failback takes it in again."""
    from archlab.lab import regional

    _runbook(lab, f"isolate {region}", lambda found, steps: regional.isolate(found, region, steps))


def kill(region: RegionArgument, lab: LabOption = None) -> None:
    """Everything in a region dies at once (SIGKILL) and stays down: a drill for you, by hand."""
    from archlab.lab import open_lab, regional
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, f"dr kill {region}"):
        said = regional.kill(found, region)
    console.print(f"{said}. Nobody was told.")


def revive(region: RegionArgument, lab: LabOption = None) -> None:
    """Power is back in a region that nobody has replaced meanwhile."""
    from archlab.lab import regional

    _changed(lab, f"dr revive {region}", lambda found, steps: (regional.revive(found, region, steps),))


def cut(lab: LabOption = None) -> None:
    """Cut the lines between the regions: nothing is closed, nothing arrives."""
    from archlab.lab import open_lab, regional
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, "dr cut"):
        regional.cut(found)
    console.print("The lines between the regions are cut. Mend them: archlab dr mend")


def mend(lab: LabOption = None) -> None:
    """Mend the lines between the regions."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab, regional
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, "dr mend"), Steps("Mending the lines") as steps:
        regional.pair(found).cut(cut=False)
        regional.pair(found).keep_paired(steps)
    console.print("The lines between the regions are as usual.")


def probe(lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Ask every model, read and write the registry, as the lab stands; what was seen is kept, and questions read it."""
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab, region_probe

    found = open_lab(lab)
    with Steps("Trying everything") as steps:
        seen = region_probe.probe(found, steps)
    if as_json:
        emit_json(seen.model_dump(mode="json", exclude={"posture"}))
        return
    rows = [(p.key, f"{p.succeeded} of {p.tried}", p.detail) for p in seen.probes]
    where = f"{', '.join(seen.down)} down" if seen.down else "no region down"
    console.print(table(f"Tried, with {where}", ("tried", "worked", "what was seen"), rows, wrap=("what was seen",)))


def _changed(lab: str | None, what: str, act: Callable[[Lab, Callable[[str, str], None]], tuple[str, ...]]) -> None:
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, what), Steps(what) as steps:
        changes = act(found, steps)
    for change in changes or ("Nothing changes.",):
        console.print(change, markup=False)


def _runbook(lab: str | None, what: str, act: Callable[[Lab, Callable[[str, str], None]], tuple[Done, ...]]) -> None:
    from archlab.cli.progress import Steps
    from archlab.lab import open_lab
    from archlab.lab.lock import exclusive

    found = open_lab(lab)
    with exclusive(found.folder, f"dr {what}"), Steps(f"Runbook {what}") as steps:
        done = act(found, steps)
    rows = [(d.step, f"{d.seconds:.2f}", d.said) for d in done]
    console.print(table(f"Runbook {what}", ("step", "s", "done"), rows, right=("s",), wrap=("done",)))
