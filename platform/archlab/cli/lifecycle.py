"""`archlab deprecate | reinstate | retire`: the end of a version, or of a model."""

from __future__ import annotations

from typing import Annotated

import typer

from archlab.cli.console import AsOption, LabOption, console

VersionArgument = Annotated[str | None, typer.Argument(help="A version; without one the model as a whole.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (deprecate, reinstate, retire):
        app.command()(command)


def deprecate(
    model: str,
    sunset: Annotated[str, typer.Option(help="Last day, or a time with its zone; on the business clock.")],
    version: VersionArgument = None,
    lab: LabOption = None,
    user: AsOption = None,
) -> None:
    """Announce an end: callers are still answered, each answer says until when; the gate decides."""
    from archlab.lab import open_lab
    from archlab.lab.standing import deprecate as announce

    found = announce(open_lab(lab), model, version, sunset=sunset, user=user)
    assert found.sunset is not None
    ends = f"{found.sunset:%Y-%m-%d %H:%M}Z on the business clock"
    console.print(f"{_what(model, version)} is deprecated; its sunset is {ends}.")
    console.print("Answers carry the headers Deprecation and Sunset from now on.")


def reinstate(model: str, version: VersionArgument = None, lab: LabOption = None, user: AsOption = None) -> None:
    """Take a deprecation back, while what was deprecated is not retired."""
    from archlab.lab import open_lab
    from archlab.lab.standing import reinstate as take_back

    take_back(open_lab(lab), model, version, user=user)
    console.print(f"{_what(model, version)} is not deprecated any more.")


def retire(
    model: str,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the decision log.")],
    version: VersionArgument = None,
    lab: LabOption = None,
    user: AsOption = None,
) -> None:
    """Take a version, or a model as a whole, out of service for good; the gate decides."""
    from archlab.lab import open_lab
    from archlab.lab.standing import retire as take_out

    found = take_out(open_lab(lab), model, version, reason=reason, user=user)
    console.print(
        f"{_what(model, version)} is retired by decision {found.id}: it is not served, and can't be promoted."
    )


def _what(model: str, version: str | None) -> str:
    return f"{model} version {version}" if version else model
