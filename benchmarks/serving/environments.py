"""Environments of the peers' own under `.cache/peers/`: made with uv once, used again while their pins are the same."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .pins import REQUIREMENTS, SHOWN

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".cache" / "peers"
_STAMP = "benchmark-pins.json"
_VERSIONS = """
import json, sys
from importlib import metadata
found = {}
for name in json.loads(sys.argv[1]):
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
found["python"] = sys.version.split()[0]
print(json.dumps(found))
"""


class NotBuiltError(Exception):
    """An environment can't be made; says why."""


@dataclass(frozen=True)
class Environment:
    """Where a program finds its packages."""

    name: str
    python: Path

    def program(self, name: str) -> str:
        """A console script of the environment."""
        return str(self.python.parent / name)

    def versions(self) -> dict[str, str]:
        """Python's version and those of the distributions that a report names."""
        command = [str(self.python), "-c", _VERSIONS, json.dumps(SHOWN)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: dict[str, str] = json.loads(done.stdout)
        return found


def own() -> Environment:
    """The product's environment: the one that runs this."""
    return Environment("archlab", Path(sys.executable))


def ensure(
    name: str, say: Callable[[str], None], folder: Path = PEERS, *, requirements: Sequence[str] = ()
) -> Environment:
    """The peer's environment, made or made anew when it isn't there with these pins; by one process at a time.

    Args:
        requirements: the pins of something that is no peer.

    Raises:
        NotBuiltError: uv is missing or the packages can't be installed; carries the last words.
    """
    place = folder / name
    environment = Environment(name, place / "bin" / "python")
    pins = requirements or REQUIREMENTS[name]
    wanted = {"requirements": list(pins), "python": sys.version.split()[0]}
    with _alone(folder, name):
        if environment.python.exists() and _stamp(place) == wanted:
            return environment
        say(f"building {place} ({', '.join(pins)}) ...")
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(place))
        # Compiled now, so that no start-up is measured that compiles.
        _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(environment.python), *pins)
        (place / _STAMP).write_text(json.dumps(wanted))
    return environment


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(place: Path) -> object:
    try:
        return json.loads((place / _STAMP).read_text())
    except (OSError, ValueError):
        return None


def _uv(*arguments: str) -> None:
    command: Sequence[str] = (sys.executable, "-m", "uv", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = " ".join(done.stderr.split())[-400:] or f"uv ended with {done.returncode}"
        raise NotBuiltError(f"`uv {' '.join(arguments[:2])}` failed: {words}")
