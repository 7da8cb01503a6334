"""`archlab devices`: what there is, what is placed where, and for every model why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, mib, table

if TYPE_CHECKING:
    from archlab.lab import Lab
    from archlab.lab.devices import Spot
    from archlab.spec.devices import Device, DevicePlan

_MARKS = {"placed": "[green]placed[/]", "refused": "[red]refused[/]", "cpu": "cpu"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(devices)


def devices(
    lab: LabOption = None,
    what_if: Annotated[
        list[str] | None, typer.Option("--what-if", help="MODEL=on, MODEL=CLASS, MODEL=off; changes nothing. Repeat.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Devices, real and emulated; what is placed where; why each model is where it is, or was refused."""
    from archlab.lab import open_lab
    from archlab.lab.devices import observed, shared, usable
    from archlab.plan.inventory import unused

    found = open_lab(lab)
    real = usable(found)
    plan = _plan(found, wishes(what_if or []))
    spare = unused(plan.inventory if plan else (), real)
    models = _models(found, plan)
    held = observed(found)
    if as_json:
        emit_json(_document(plan, spare, models, held, what_if=bool(what_if)))
        return
    if what_if:
        console.print("[bold]What if[/]: nothing of this is changed.")
    _print_devices(plan, spare)
    console.print(table("Models", ("model", "device", "because"), _rows(models), wrap=("because",)))
    if held:
        console.print()
        console.print(table("Held by servers now", ("model", "device", "unit", "replica"), list(held)))
        for (model, card), count in shared(held).items():
            console.print(
                f"[yellow]{count} replicas of {model} are on {card}[/]: the kubelet chose slices, the plan would\n"
                "have kept them on different cards. One failure takes them all, unless each is on a node of its own."
            )
    if plan and any(d.basis.value == "emulated" for d in plan.inventory):
        console.print(
            "\n[dim]Emulated: this machine lacks it. It changes placement, quota and price, never latency; its memory\n"
            "is what the plan reserves, and nothing is known of its load.[/]"
        )


def wishes(texts: list[str]) -> dict[str, str]:
    """Models and the devices that they would ask for, as typed.

    Raises:
        UserError: something else was typed.
    """
    from archlab.errors import UsageError
    from archlab.lab.changes import parse_change

    found = {}
    for text in texts:
        model, equals, wish = text.partition("=")
        if not equals:
            raise UsageError(f"--what-if {text!r} has no =.", "Write --what-if MODEL=on, MODEL=CLASS or MODEL=off.")
        found[model] = str(parse_change("device", wish).device)
    return found


def _plan(lab: Lab, wanted: dict[str, str]) -> DevicePlan | None:
    """What would be planned now; what was planned last while the lab is down."""
    from archlab.errors import LabStateError
    from archlab.lab import devices as known

    try:
        return known.what_if(lab, wanted)
    except LabStateError:
        if wanted:
            raise
        return lab.plan.devices


def _models(lab: Lab, plan: DevicePlan | None) -> list[dict[str, Any]]:
    if plan is None:
        text = "runs on the CPU: the scenario declares no devices."
        return [
            {"model": m.name, "outcome": "cpu", "code": "not_asked", "placements": [], "text": f"{m.name} {text}"}
            for m in lab.scenario.models
        ]
    return [
        {
            **said.model_dump(mode="json"),
            "placements": [p.model_dump(mode="json") for p in plan.placements if p.model == said.model],
            "gain": plan.gains[said.model].model_dump(mode="json") if said.model in plan.gains else None,
        }
        for said in plan.explanations
    ]


def _document(
    plan: DevicePlan | None,
    spare: tuple[Device, ...],
    models: list[dict[str, Any]],
    held: tuple[Spot, ...],
    *,
    what_if: bool,
) -> dict[str, Any]:
    from archlab.lab.devices import shared

    return {
        "what_if": what_if,
        "devices": [device_facts(d, plan) for d in plan.inventory] if plan else [],
        "undeclared": [d.model_dump(mode="json") for d in spare],
        "models": models,
        "observed": [spot._asdict() for spot in held],
        "shared": [{"model": m, "device": card, "replicas": count} for (m, card), count in shared(held).items()],
    }


def device_facts(device: Device, plan: DevicePlan) -> dict[str, Any]:
    """A device with what is reserved on it: of a slice that is taken, all of it."""
    holders = [p for p in plan.placements if p.device == device.name]
    sizes = {s.name: s.memory_bytes for s in device.slices}
    used = sum(sizes[p.slice] if p.slice else device.memory_bytes if p.exclusive else p.memory_bytes for p in holders)
    return {
        **device.model_dump(mode="json"),
        "used_bytes": used,
        "free_bytes": (sum(sizes.values()) or device.memory_bytes) - used,
        "holders": [
            f"{p.model}-{p.replica}" + (f" in {p.slice.partition('/')[2]}" if p.slice else "") for p in holders
        ],
    }


def _print_devices(plan: DevicePlan | None, spare: tuple[Device, ...]) -> None:
    rows = [_line(device_facts(d, plan)) for d in plan.inventory] if plan else []
    rows += [
        (d.name, d.device_class, d.product, "real", mib(d.memory_bytes), "", "", "not declared: unused") for d in spare
    ]
    if not rows:
        console.print("No devices: the scenario declares none, and the driver of this machine reports none.\n")
        return
    columns = ("device", "class", "product", "basis", "MiB", "used", "free", "held by")
    console.print(table("Devices", columns, rows, right=("MiB", "used", "free"), wrap=("held by", "class")))
    console.print()


def _line(device: dict[str, Any]) -> tuple[str, ...]:
    product = f"{device['product']}, by {device['stands_in']}" if device["stands_in"] else device["product"]
    classes = " ".join(dict.fromkeys([device["device_class"], *(s["profile"] for s in device["slices"])]))
    sizes = (mib(device[name]) for name in ("memory_bytes", "used_bytes", "free_bytes"))
    return (device["name"], classes, product, device["basis"], *sizes, ", ".join(device["holders"]))


def _rows(models: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    return [(m["model"], _MARKS[m["outcome"]], m["text"].removeprefix(f"{m['model']} ")) for m in models]
