"""Where rules come from: the built-in folder and the lab's own, one folder per rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from archlab.errors import SpecError

CORE = "archlab"
"""The area that holds the decision document itself; it has no rules."""

MAX_SOURCE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Source:
    """One Rego file."""

    key: str
    """Its name in the bundle: `AREA/RULE/FILE.rego`."""
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class RuleSource:
    """One rule: a folder `AREA/RULE/` with RULE.rego in it."""

    area: str
    name: str
    origin: str
    """`built-in` or `lab`."""
    files: tuple[Source, ...]

    @property
    def id(self) -> str:
        """`AREA/RULE`, as reasons name it."""
        return f"{self.area}/{self.name}"

    @property
    def package(self) -> str:
        """The Rego package that the folder's files belong to."""
        return f"archlab.rules.{self.area}.{self.name}"


def core(root: Path) -> tuple[Source, ...]:
    """The decision document: every Rego file directly in `ROOT/archlab/`, tests left out."""
    return tuple(_source(path, f"{CORE}/{path.name}") for path in _rego_files(root / CORE))


def rules(root: Path, origin: str) -> tuple[RuleSource, ...]:
    """Every rule under a folder, in order of area and name; an absent folder has none.

    Raises:
        SpecError: a folder has no RULE.rego, a name is not a Rego name, a file is too large or not text.
    """
    return tuple(_rule(folder, origin) for folder in _rule_folders(root, origin))


def _rule_folders(root: Path, origin: str) -> Iterator[Path]:
    if not root.is_dir():
        return
    for area in sorted(path for path in root.iterdir() if path.is_dir()):
        if area.name == CORE:
            if origin == "lab":
                raise SpecError(f"{area}: the area {CORE!r} is reserved.", "Use an area of your own, or promotion.")
            continue
        yield from sorted(path for path in area.iterdir() if path.is_dir() and _rego_files(path))


def _rule(folder: Path, origin: str) -> RuleSource:
    area, name = folder.parent.name, folder.name
    for part in (area, name):
        if not (part.isascii() and part.isidentifier()):
            raise SpecError(f"{folder}: {part!r} can't be part of a Rego package.", "Use letters, digits and _.")
    if not (folder / f"{name}.rego").is_file():
        raise SpecError(f"{folder}: there is no {name}.rego.", "A rule's file is named like its folder.")
    files = tuple(_source(path, f"{area}/{name}/{path.name}") for path in _rego_files(folder))
    return RuleSource(area, name, origin, files)


def _rego_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.rego") if not path.name.endswith("_test.rego"))


def _source(path: Path, key: str) -> Source:
    data = path.read_bytes()
    if len(data) > MAX_SOURCE_BYTES:
        raise SpecError(f"{path}: {len(data)} bytes; a rule may have {MAX_SOURCE_BYTES}.", "Split it.")
    try:
        return Source(key, path, data.decode())
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text at byte {error.start}.", "Save it as UTF-8.") from None
