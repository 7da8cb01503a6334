"""`archlab backup …`: take, verify, restore what a lab's registry holds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, mib, table
from archlab.cli.schedule import NO_MORE, EveryOption, scheduled

if TYPE_CHECKING:
    from archlab.lab.backups import Part
    from archlab.lab.lab import Lab
    from archlab.recovery.backups import Store
    from archlab.spec.backup import Backup

FolderOption = Annotated[
    Path | None, typer.Option("--folder", metavar="FOLDER", help="Where backups lie; the lab's own folder by default.")
]
NameArgument = Annotated[str | None, typer.Argument(help="Which; the newest by default.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Encrypted backups of a lab's registry: metadata and weights.", no_args_is_help=True)
    group.command("list")(list_backups)
    for command in (take, verify, restore):
        group.command()(command)
    app.add_typer(group, name="backup")


def list_backups(folder: FolderOption = None, lab: LabOption = None, as_json: JsonOption = False) -> None:
    """Every backup, and whether it is known to restore."""
    _, store = _open(lab, folder)
    found, strays = store.all(), store.strays()
    if as_json:
        told = [{"name": name, "alert": why, "verified": None} for name, why in strays.items()]
        emit_json([*(backup.model_dump(mode="json") for backup in found), *told])
        return
    if not found and not strays:
        console.print("There is no backup yet: archlab backup take")
        return
    rows = [(b.name, b.of, ", ".join(b.parts), mib(b.size_bytes), mib(b.stored_bytes), b.key, _state(b)) for b in found]
    rows += [(name, "unknown", "", "", "", "", f"no: {why}") for name, why in strays.items()]
    columns = ("backup", "of", "parts", "MB", "stored", "key", "restores")
    console.print(table("Backups", columns, rows, right=("MB", "stored"), wrap=("restores",)))


def take(
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help="metadata or weights; both by default.")
    ] = None,
    every: EveryOption = None,
    keep: Annotated[
        int, typer.Option(min=1, help="Delete the oldest but so many; the newest that was verified stays.")
    ] = 10,
    folder: FolderOption = None,
    lab: LabOption = None,
) -> None:
    """Back the registry up, while it runs."""
    opened, store = _open(lab, folder)
    parts = _parts(only)

    def once() -> None:
        from archlab.lab import backups

        made = backups.take(opened, store, parts)
        console.print(f"{made.name}: {made.files:,} files, {mib(made.stored_bytes)} MB, {made.seconds:.1f} s")
        for name in store.prune(keep):
            console.print(f"{name} deleted", style="dim")

    scheduled(once, every, NO_MORE)


def verify(
    name: NameArgument = None,
    every_one: Annotated[bool, typer.Option("--all", help="Every backup, not only one.")] = False,
    folder: FolderOption = None,
    lab: LabOption = None,
) -> None:
    """Restore a backup into an empty place and compare. Exit code 1, with the reason, when one can't be restored."""
    from archlab.lab import backups
    from archlab.recovery.vault import DamagedError

    opened, store = _open(lab, folder)
    alerts = 0
    for stray, why in store.strays().items() if name is None else ():
        alerts += 1
        console.print(f"[red]alert[/] {stray}: ", end="")
        console.print(why, markup=False, soft_wrap=True)
    for backup in store.all() if every_one else (store.one(name),):
        try:
            backups.verify(opened, store, backup)
        except DamagedError as error:
            alerts += 1
            console.print(f"[red]alert[/] {backup.name}: ", end="")
            console.print(error.message, markup=False, soft_wrap=True)
        else:
            console.print(f"{backup.name} restores: {backup.files:,} files compared")
    if alerts:
        raise typer.Exit(1)


def restore(
    name: NameArgument = None,
    into: Annotated[
        Path | None, typer.Option("--into", metavar="FOLDER", help="Only put the files there; the lab is not touched.")
    ] = None,
    folder: FolderOption = None,
    lab: LabOption = None,
) -> None:
    """Make the registry of a lab that stands still what it was; the old one is kept aside."""
    from archlab.lab import backups

    opened, store = _open(lab, folder)
    backup = store.one(name) if name else store.usable()
    if into:
        store.open(backup, into)
        console.print(f"{backup.name} is in {into}.", soft_wrap=True)
        return
    aside = backups.restore(opened, store, backup)
    console.print(f"The registry of {opened.name} is what it was at {backup.taken:%Y-%m-%d %H:%M:%S} UTC.")
    if aside:
        console.print(f"What it was before lies in {aside}.", soft_wrap=True)
    console.print(f"Start the lab: archlab up --lab {opened.name}")


def _open(lab: str | None, folder: Path | None) -> tuple[Lab, Store]:
    from archlab.lab import backups, open_lab

    opened = open_lab(lab)
    return opened, backups.store(opened, folder.resolve() if folder else None)


def _parts(only: list[str] | None) -> tuple[Part, ...]:
    from archlab.errors import UsageError
    from archlab.lab.backups import EVERYTHING, Part

    try:
        return tuple(Part(name) for name in only) if only else EVERYTHING
    except ValueError as error:
        raise UsageError(f"{error}: parts are {', '.join(EVERYTHING)}.") from None


def _state(backup: Backup) -> str:
    if backup.alert:
        return f"no: {backup.alert}"
    return f"verified {backup.verified:%Y-%m-%d %H:%M}" if backup.verified else "not verified"
