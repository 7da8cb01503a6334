"""`archlab token | env | open | predict`: reaching a lab as somebody."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archlab.cli.console import JsonOption, LabOption, console, emit_json, table

UserOption = Annotated[str | None, typer.Option("--user", "-u", help="Whose token: learner (default), approver, ...")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(token)
    app.command()(env)
    app.command("open")(open_page)
    app.command()(predict)


def token(lab: LabOption = None, user: UserOption = None) -> None:
    """Print a fresh token (12 hours)."""
    from archlab.errors import UserError
    from archlab.identity import PLATFORM
    from archlab.lab import open_lab

    if user == PLATFORM.name:
        raise UserError(f"{user} is the lab's own identity, nobody's token.", "Name a user of the scenario.")
    typer.echo(open_lab(lab).token(user))


def env(lab: LabOption = None, user: UserOption = None) -> None:
    """Shell exports for a plain MLflow client: eval "$(archlab env)"."""
    from archlab.lab import open_lab
    from archlab.lab.work import mlflow_environment

    found = open_lab(lab)
    for key, value in mlflow_environment(found, found.user(user).name).items():
        typer.echo(f"export {key}='{value}'")


def open_page(
    page: Annotated[str, typer.Argument(help="mlflow or console")] = "console",
    lab: LabOption = None,
    user: UserOption = None,
    show: Annotated[
        bool, typer.Option("--print", help="Print the one-time address instead of opening a browser.")
    ] = False,
) -> None:
    """Open a page in a browser that is logged in (a one-time address, good for a minute)."""
    import webbrowser

    from archlab.errors import NotFoundError
    from archlab.lab import open_lab

    pages = {"mlflow": "/mlflow/", "console": "/control/"}
    if page not in pages:
        raise NotFoundError(f"There is no page {page!r}.", f"Pages: {', '.join(pages)}.")
    found = open_lab(lab)
    code = found.client("/control", user).post("/login-codes")["code"]
    address = f"{found.endpoints.gateway}/login/{code}?next={pages[page]}"
    if show or not webbrowser.open(address):
        typer.echo(address)


def predict(
    model: str,
    values: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE for keys and columns; a real flight by default.")
    ] = None,
    lab: LabOption = None,
    version: Annotated[str | None, typer.Option(help="A version instead of the champion.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a model about the next real flight, airport, aircraft or route on the business clock, or about VALUES."""
    from archlab.lab import open_lab
    from archlab.lab.asking import ask, example

    found = open_lab(lab)
    request = example(found, model, values or [])
    answer: dict[str, Any] = ask(found, model, request, version)
    if as_json:
        emit_json({"request": request, "answer": answer})
        return
    rows = [(t["name"], t["datatype"], ", ".join(str(v) for v in t["data"])) for t in request["inputs"]]
    console.print(table(f"Asked of {model}", ("input", "type", "value"), rows, wrap=("value",)))
    parameters = answer.get("parameters", {})
    console.print(
        f"\nprediction  [bold]{answer['outputs'][0]['data'][0]:.4f}[/]   version {parameters.get('model_version')}"
    )
    console.print(f"[dim]features as of {parameters.get('features_as_of')}, snapshot {parameters.get('snapshot')}[/]")
