"""Where drills are kept: one folder each, `.archlab/drills/<time>-<name>/`."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from archlab.errors import NotFoundError, SpecError
from archlab.files import write_model
from archlab.settings import home
from archlab.spec.drill import Attempt, DrillReport

REPORT, LEDGER, LOG = "report.json", "probe.jsonl", "drill.log"


def root() -> Path:
    """Where all of them are."""
    return home() / "drills"


def testbed_root() -> Path:
    """Where the regions are while a drill runs; always the same, so that the next one finds what a killed one left."""
    return root() / "testbed"


def new(drill: str, began: datetime) -> Path:
    """The folder of a drill that begins."""
    made = root() / f"{began:%Y%m%dT%H%M%S}-{drill}"
    made.mkdir(parents=True, mode=0o700, exist_ok=True)
    return made


def keep(folder: Path, report: DrillReport) -> None:
    """Write a report."""
    write_model(folder / REPORT, report)


def drop_empty(folder: Path) -> None:
    """Delete the folder of a drill that never came to anything; anything in it keeps it."""
    with suppress(OSError):
        folder.rmdir()


def all_reports() -> dict[str, DrillReport]:
    """Every report that can be read, by the name of its folder, oldest first."""
    found = {}
    for path in sorted(root().glob(f"*/{REPORT}")):
        try:
            found[path.parent.name] = DrillReport.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue
    return found


def attempts(folder: Path) -> tuple[Attempt, ...]:
    """The probe's ledger of a run; empty when it is not there any more."""
    from archlab.drills.probe import read_ledger

    try:
        return read_ledger(folder / LEDGER)
    except FileNotFoundError:
        return ()


def one(name: str | None) -> tuple[Path, DrillReport]:
    """The named report, or the newest.

    Raises:
        NotFoundError: there is none.
        SpecError: it can't be read.
    """
    known = sorted(path.parent.name for path in root().glob(f"*/{REPORT}"))
    if not known or (name and name not in known):
        what = f"No run is called {name!r}." if name else "No drill was run here yet."
        raise NotFoundError(what, f"Known: {', '.join(known[-5:])}." if known else "Run one: archlab drill run NAME")
    folder = root() / (name or known[-1])
    try:
        return folder, DrillReport.model_validate_json((folder / REPORT).read_bytes())
    except ValidationError as error:
        raise SpecError(
            f"{folder / REPORT} can't be read: {error.errors()[0]['msg']}.", "Run the drill again."
        ) from None
