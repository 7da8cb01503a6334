"""`archlab image build | load | bundle`: what a lab's pods are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archlab.cli.console import console

EngineOption = Annotated[str | None, typer.Option("--with", help="docker or podman; whichever is there by default.")]


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Container images for labs on a cluster.", no_args_is_help=True)
    group.command("build")(build)
    group.command("load")(load)
    group.command("bundle")(bundle)
    app.add_typer(group, name="image")


def build(
    options: Annotated[list[str] | None, typer.Argument(help="Further options of the engine, after --.")] = None,
    engine: EngineOption = None,
) -> None:
    """Build both images from this checkout: archlab and archlab-serving."""
    from archlab.targets.kube import images

    for name in images.build(engine, options or ()):
        console.print(f"built {name}")


def load(
    how: Annotated[str, typer.Option("--with", help="kind, minikube, or a command with {image} in it.")] = "kind",
) -> None:
    """Bring both images to the cluster's nodes."""
    from archlab.targets.kube import images

    for command in images.load_commands(how):
        images.run(command)
    console.print(f"loaded {' and '.join(images.images())}")


def bundle(
    archive: Annotated[Path, typer.Argument(help="File to write, e.g. archlab-images.tar.")],
    engine: EngineOption = None,
) -> None:
    """Write both images into one archive for classrooms without a network: docker load -i FILE."""
    from archlab.errors import UserError
    from archlab.targets.kube import images

    if archive.exists():
        raise UserError(f"{archive} exists already.", "Name another file, or delete it first.")
    images.run(images.bundle_command(images.engine(engine), archive))
    console.print(f"wrote {archive} ({archive.stat().st_size / 1e6:.0f} MB)")
