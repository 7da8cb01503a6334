"""`python -m archlab.pipelines.training_sets`: point-in-time training sets through Feast, in a process of its own.

Importing Feast takes seconds, so the process starts early, reads the data's folder from standard input when it is
there, and prints one line per spine as soon as its frame is written. A frame that exists is not made again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from archlab import jobs
from archlab.errors import ArchlabError
from archlab.lineage import names, spool
from archlab.lineage.events import completed
from archlab.pipelines import recipes

MODULE = "archlab.pipelines.training_sets"


@dataclass(frozen=True, slots=True)
class Frame:
    """A finished training set."""

    spine: str
    path: Path
    rows: int
    seconds: float


class Builder:
    """The process that joins, seen from the one that trains. Use as a context manager: it never outlives the block."""

    def __init__(self, business: str, spines: Sequence[str], folder: Path) -> None:
        command = [sys.executable, "-m", MODULE, business, str(folder), *spines]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Builder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def frames(self, data: Path) -> Iterator[Frame]:
        """Training sets over the data in `data`, each as soon as it is there.

        Raises:
            ArchlabError: the process failed; what it said.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{data}\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            said = json.loads(line)
            if "error" in said:
                raise ArchlabError(f"Training sets could not be made: {said['error']}", said["remedy"])
            if "spine" in said:
                yield Frame(said["spine"], Path(said["path"]), said["rows"], said["seconds"])
        if code := self._process.wait():
            raise ArchlabError(f"Training sets could not be made: the process ended with {code}.", "Run it again.")


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body."""
    parser = argparse.ArgumentParser(prog=MODULE)
    parser.add_argument("business")
    parser.add_argument("folder", type=Path)
    parser.add_argument("spines", nargs="+")
    chosen = parser.parse_args(arguments)
    from archlab_features import repository

    warnings.filterwarnings("ignore")  # after Feast's import, which resets it
    content = recipes.training(chosen.business)
    data = Path(sys.stdin.readline().strip())
    feast = chosen.folder / "feast"
    store = repository.open_store(feast)
    repository.apply(store, feast, data, services(content.RECIPES))
    for spine in chosen.spines:
        began = time.monotonic()
        path, rows = make(store, content, data, spine, chosen.folder)
        line = {"spine": spine, "path": str(path), "rows": rows, "seconds": round(time.monotonic() - began, 2)}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    return {"spines": chosen.spines}


def services(chosen: Sequence[recipes.Recipe]) -> dict[str, dict[str, list[str]]]:
    """Feast's feature services: what each model takes, by view."""
    return {recipe.feature_service: recipe.views for recipe in chosen}


def make(store: Any, content: recipes.Training, data: Path, spine: str, folder: Path) -> tuple[Path, int]:
    """One spine's frame: entities with the features that its models take, as Parquet; returns path and rows."""
    import pyarrow.parquet as pq

    from archlab_features.history import point_in_time

    path = folder / f"{spine}.parquet"
    if path.exists():
        return path, int(pq.read_metadata(path).num_rows)
    began = datetime.now(UTC)
    entities = content.entities(data, spine)
    features = _features([recipe for recipe in content.RECIPES if recipe.spine == spine])
    joined = entities.join(point_in_time(store, entities, features))
    part = path.with_suffix(".part")
    joined.to_parquet(part, compression="zstd", index=False)
    report(path, part, data, [*content.READS, *(f"views/{view}.parquet" for view in features)], len(joined), began)
    part.replace(path)
    return path, len(joined)


def events_of(path: Path) -> Path:
    """Where a frame's lineage events lie."""
    return path.with_name(f"{path.stem}.{spool.NAME}")


def report(path: Path, part: Path, data: Path, read: Sequence[str], rows: int, began: datetime) -> None:
    """Keep what a frame was made from beside it; before it gets its name, so that none is without.

    Args:
        path: the frame's place, two folders below the cache.
        part: where it is until then.
        data: the data's folder.
        read: files below it that went in.
        rows: of the frame.
        began: wall time.
    """
    cache = path.parent.parent.parent
    files = spool.Files(data, f"{names.cached(cache, data)}/")
    written = spool.Files(part.parent, "").artifact(part.name)
    events = completed(
        f"training_set.{path.stem}",
        inputs=[files.artifact(name) for name in sorted(set(read))],
        outputs=[written.model_copy(update={"name": names.cached(cache, path)})],
        facts={"rows": str(rows)},
        began=began,
    )
    spool.keep(events_of(path), events)


def _features(chosen: Sequence[recipes.Recipe]) -> dict[str, list[str]]:
    found: dict[str, dict[str, None]] = {}
    for recipe in chosen:
        for view, chosen_features in recipe.views.items():
            found.setdefault(view, {}).update(dict.fromkeys(chosen_features))
    return {view: list(features) for view, features in found.items()}


if __name__ == "__main__":
    jobs.main(run)
