"""The two images of a lab: built from a checkout, brought to a cluster, written into one archive."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from archlab import __version__
from archlab.errors import ArchlabError, UserError

IMAGE, SERVING_IMAGE = "ARCHLAB_IMAGE", "ARCHLAB_SERVING_IMAGE"
ENGINES = ("docker", "podman")
LOADERS = {"kind": "kind load docker-image {image}", "minikube": "minikube image load {image}"}
STAGES = ("platform", "serving")


def images() -> tuple[str, str]:
    """Names of the platform's and the servers' image: this version's, or those that the environment names."""
    return (
        os.environ.get(IMAGE) or f"archlab:{__version__}",
        os.environ.get(SERVING_IMAGE) or f"archlab-serving:{__version__}",
    )


def engine(named: str | None) -> str:
    """The program that builds images: docker, podman, or the one that is named.

    Raises:
        UserError: there is none.
    """
    for program in (named,) if named else ENGINES:
        if shutil.which(program):
            return program
    wanted = repr(named) if named else " or ".join(ENGINES)
    raise UserError(
        f"Images are built with {wanted}, which is not on the path.", "Install one, or name it with --with."
    )


def build_commands(program: str, root: Path, revision: str, extra: Sequence[str] = ()) -> list[list[str]]:
    """What builds each image, small one first. Pure."""
    names = dict(zip(STAGES, images(), strict=True))
    labels = ["--build-arg", f"VERSION={__version__}", "--build-arg", f"REVISION={revision}"]
    return [
        [
            *(program, "build", "--file", str(root / "images" / "Dockerfile"), "--target", stage),
            *("--tag", tagged(program, names[stage]), *labels, *extra, str(root)),
        ]
        for stage in reversed(STAGES)
    ]


def build(named: str | None, extra: Sequence[str] = ()) -> tuple[str, str]:
    """Build both images from the checkout that this program runs from; their names.

    Raises:
        UserError: it runs from an installed package, or no engine is there.
        ArchlabError: a build fails; the engine has said why.
    """
    root = Path(__file__).parents[4]
    if not (root / "images" / "Dockerfile").is_file():
        raise UserError("Images are built from a checkout of archlab; this is an installed package.", "Use the bundle.")
    for command in build_commands(engine(named), root, _revision(root), extra):
        run(command)
    return images()


def load_commands(how: str) -> list[list[str]]:
    """What brings each image to a cluster: kind's or minikube's command, or one of one's own. Pure.

    Raises:
        UserError: a command of one's own has no {image}.
    """
    template = LOADERS.get(how, how)
    if "{image}" not in template:
        known = ", ".join(LOADERS)
        raise UserError(
            f"{how!r} does not say where the image's name goes.", f"Name {known}, or write 'COMMAND {{image}}'."
        )
    return [[part.replace("{image}", name) for part in shlex.split(template)] for name in images()]


def bundle_command(program: str, archive: Path) -> list[str]:
    """What writes both images into one archive, which `docker load` and `kind load image-archive` read. Pure."""
    several = ["--multi-image-archive", "--format", "docker-archive"] if Path(program).name == "podman" else []
    return [program, "save", *several, "--output", str(archive), *(tagged(program, name) for name in images())]


def tagged(program: str, name: str) -> str:
    """An image's name as the engine has to be told it, so that clusters find it under the short one."""
    plain = "/" not in name
    return f"docker.io/library/{name}" if plain and Path(program).name == "podman" else name


def run(command: Sequence[str]) -> None:
    """Run a command whose output the reader sees.

    Raises:
        UserError: there is no such program.
        ArchlabError: it fails.
    """
    if shutil.which(command[0]) is None:
        raise UserError(f"The program {command[0]!r} is not on the path.", "Install it, or name another with --with.")
    done = subprocess.run(list(command), check=False)
    if done.returncode:
        raise ArchlabError(f"{shlex.join(command)} ended with {done.returncode}.", "Its own words are above.")


def _revision(root: Path) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
