"""`archlab lineage`: where a model or one prediction came from, back to the digests of the source files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json

if TYPE_CHECKING:
    from rich.tree import Tree

    from archlab.spec.lineage import Lineage, LineageNode

SHOWN = {
    "alias": ("served",),
    "prediction": ("prediction", "version", "at", "keys"),
    "release": ("role", "kind"),
    "version": ("author", "approved_by", "deleted"),
    "decision": ("action", "asked_by", "author", "approved_by", "engine"),
}
"""Facts that the tree has, by kind; --json has all."""
TREE_COLUMNS = 1000
"""Lines of the tree are not cut; a narrower terminal wraps them."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(lineage)


def lineage(
    target: Annotated[
        str | None, typer.Argument(help="MODEL@champion, MODEL@challenger or MODEL/VERSION.", metavar="[MODEL]")
    ] = None,
    prediction: Annotated[
        str | None, typer.Option("--prediction", help="Id of an answer, or of its request (x-request-id).")
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="Write every OpenLineage event to a new file, one a line.")
    ] = None,
    lab: LabOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the way back from a model, a version or one prediction to the source files, from what is on record.

    A link that is missing, or that does not fit the next one, is named with what would have made it; exit code 1.
    """
    from archlab.errors import UsageError
    from archlab.lab import open_lab

    if target is None and prediction is None and events is None:
        raise UsageError("Lineage of what?", "archlab lineage MODEL@champion, MODEL/VERSION, or --prediction ID")
    found = open_lab(lab)
    if events is not None:
        _write(found.control.get("/lineage/events"), events)
    if target is not None or prediction is not None:
        _show(found.control.get(f"/lineage?{urlencode(_query(target, prediction))}"), as_json=as_json)


def _query(target: str | None, prediction: str | None) -> dict[str, str]:
    """Parameters of control's call.

    Raises:
        UsageError: the target is neither MODEL@ALIAS nor MODEL/VERSION.
    """
    from archlab.errors import UsageError

    model, at, alias = (target or "").partition("@")
    if prediction is not None:
        return {"prediction": prediction, **({"model": model} if model else {})}
    if at and model and alias:
        return {"model": model, "alias": alias}
    model, slash, version = (target or "").partition("/")
    if slash and model and version.isdecimal():
        return {"model": model, "version": version}
    raise UsageError(f"{target!r} is neither MODEL@champion nor MODEL/VERSION.", "archlab lineage MODEL@champion")


def _show(answer: object, *, as_json: bool) -> None:
    """Print the graph.

    Raises:
        UserError: links are missing.
    """
    from rich.console import Console

    from archlab.errors import UserError
    from archlab.spec.lineage import Lineage

    found = Lineage.model_validate(answer)
    if as_json:
        emit_json(found.model_dump(mode="json"))
    else:
        Console(width=TREE_COLUMNS, highlight=False).print(drawn(found))
    if found.gaps:
        named = "; ".join(f"{gap.link}: {gap.missing}" for gap in found.gaps)
        count = "1 link is" if len(found.gaps) == 1 else f"{len(found.gaps)} links are"
        raise UserError(f"{count} missing. {named}.", "; ".join(dict.fromkeys(gap.remedy for gap in found.gaps)))
    if not as_json:
        sources = ", ".join(f"{name} {sha256[:12]}" for name, sha256 in sorted(found.sources.items()))
        console.print(f"\nNo link is missing. Source files: {sources}", soft_wrap=True)


def drawn(found: Lineage) -> Tree:
    """The graph as a tree; what was drawn before is only named again."""
    from rich.tree import Tree

    nodes = {node.id: node for node in found.nodes}
    seen: set[str] = set()

    def grow(branch: Tree, node: LineageNode) -> None:
        seen.add(node.id)
        for gap in node.gaps:
            branch.add(f"[bold red]missing[/] {_plain(gap.link.partition(' -> ')[2])}: {_plain(gap.missing)}")
        above: list[str] = []
        for below in (nodes[identifier] for identifier in node.inputs):
            if below.id in seen:
                above.append(_last(below))
            else:
                grow(branch.add(_line(below)), below)
        if above:
            branch.add(f"[dim]{_plain(', '.join(above))}: see above[/]")

    root = nodes[found.root]
    tree = Tree(_line(root))
    grow(tree, root)
    return tree


def _last(node: LineageNode) -> str:
    """What was drawn before, in short."""
    return f"{node.kind} {node.name.rpartition('/')[2] if node.name.startswith(('cache/', 'source/')) else node.name}"


def _line(node: LineageNode) -> str:
    """`kind name  sha256 …  facts  run`, for people."""
    shown = [(name, node.facts.get(name, "")) for name in SHOWN.get(node.kind, ())]
    facts = [f"{name.replace('_', ' ')} {value}" for name, value in shown if value]
    words = [f"[bold]{_plain(node.kind)}[/] {_plain(_short(node.name))}"]
    words += [f"[dim]sha256[/] {node.sha256[:12]}"] if node.sha256 else []
    words += [_plain(", ".join(facts))] if facts else []
    words += [f"[dim]by {_plain(node.made_by.job)}, event {node.made_by.sequence}[/]"] if node.made_by else []
    return "  ".join(words)


def _short(name: str) -> str:
    """A name without the digests in its folders: those of the cache are long."""
    return "/".join(f"{part[:8]}…" if len(part) == 64 else part for part in name.split("/"))


def _write(records: list[dict[str, str]], out: Path) -> None:
    """OpenLineage events as JSON lines.

    Raises:
        UserError: the file exists.
    """
    from archlab.errors import UserError
    from archlab.files import write_atomic

    if out.exists():
        raise UserError(f"{out} exists.", "Name a new file.")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, "".join(json.dumps(json.loads(record["event"])) + "\n" for record in records))
    console.print(f"{len(records)} OpenLineage events in {out}", soft_wrap=True)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
