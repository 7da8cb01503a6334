"""`python -m archlab.pipelines.batch MODEL@ISO ...`: compute models' answers beforehand, one run per word.

The champion's file scores what the business will ask about, with features as they stood at that moment (read from the
offline files: a run ahead of the clock sees nothing it could not have known). Answers go to Parquet with version
and run; each run prints `{"finished": BODY}`, the body of control's `POST /batch-runs`, as soon as it is done.
"""

from __future__ import annotations

import argparse
import importlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archlab import jobs
from archlab.errors import NotFoundError
from archlab.files import file_sha256
from archlab.lineage import names, spool
from archlab.lineage.events import Event, completed
from archlab.pipelines import recipes
from archlab.pipelines.data import data_folder
from archlab.settings import LabFolder
from archlab.spec.business import Ask, Business, ModelCard
from archlab.spec.grading import BatchRun
from archlab.spec.lineage import LineageArtifact
from archlab.spec.money import Basis, Resource, Usage, UsageKind
from archlab.spec.release import Column
from archlab.spec.scenario import Model, Scenario
from archlab.unixhttp import control


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that the decision log lets through, and its file."""

    version: str
    sha256: str
    path: Path
    columns: tuple[Column, ...]

    @classmethod
    @cache
    def of(cls, folder: LabFolder, model: str) -> Champion:
        """As control names it, asked once; control answers with why when there is none."""
        found = control(folder, "GET", f"/champions/{model}")
        columns = tuple(Column.model_validate(c) for c in found["columns"])
        return cls(found["version"], found["sha256"], folder.releases / found["path"], columns)


def run(arguments: list[str]) -> dict[str, Any]:
    """The job's body; says how many runs it made."""
    parser = argparse.ArgumentParser(prog="archlab.pipelines.batch")
    parser.add_argument("runs", nargs="+", type=_wanted, metavar="MODEL@ISO")
    wanted: list[tuple[str, datetime]] = parser.parse_args(arguments).runs
    folder = LabFolder.from_environment()
    scenario = Scenario.model_validate_json(folder.scenario.read_bytes())
    for name, when in wanted:
        jobs.emit({"finished": score(folder, scenario, name, when)})
    return {"runs": len(wanted)}


def _wanted(word: str) -> tuple[str, datetime]:
    model, at, moment = word.partition("@")
    if not at:
        raise argparse.ArgumentTypeError(f"{word} is not MODEL@ISO")
    return model, datetime.fromisoformat(moment).astimezone(UTC)


def score(folder: LabFolder, scenario: Scenario, name: str, when: datetime) -> dict[str, Any]:
    """Score one model at one business time; a body for `POST /batch-runs`.

    Raises:
        NotFoundError: no such model.
        ArchlabError: it has no champion that may be used.
    """
    try:
        model = scenario.model(name)
    except KeyError:
        known = ", ".join(m.name for m in scenario.models)
        raise NotFoundError(f"There is no model {name!r} in this lab.", f"Models: {known}.") from None
    business: Business = importlib.import_module(f"archlab_scenarios.{scenario.business}.business").BUSINESS
    card, champion = business.cards[name], Champion.of(folder, name)
    data = data_folder(folder.cache, scenario.business)
    jobs.report("batch", f"{name} version {champion.version}")
    started, began = time.process_time(), datetime.now(UTC)
    asks = business.batch_asks(data, name, model.caller, when)
    answers = predict(champion.path, matrix(data, champion.columns, asks, when))
    identifier = f"{name}-{when:%Y%m%dT%H%M%SZ}-v{champion.version}"
    path = folder.batch / name / f"{identifier}.parquet"
    write(path, card, asks, answers, champion.version, identifier, when)
    jobs.report("batch", f"{name}: {len(asks)} answers, {time.process_time() - started:.2f} s of processor time")
    finished = BatchRun(
        id=identifier,
        model=name,
        version=champion.version,
        business_time=when,
        rows=len(asks),
        path=str(path.relative_to(folder.root)),
    )
    return {
        "run": finished.model_dump(mode="json"),
        "table": table(card, asks, answers, finished, champion.sha256),
        "usage": [usage(model, finished).model_dump(mode="json")],
        "answers_sha256": (answered := file_sha256(path)),
        "lineage": events(folder, scenario.business, champion, finished, answered, began),
    }


def events(
    folder: LabFolder, business: str, champion: Champion, run_: BatchRun, answered: str, began: datetime
) -> list[Event]:
    """What a run read and wrote: the champion's file, the data's files, the answers; and how the data came about."""
    data = data_folder(folder.cache, business)
    views = {f"views/{c.source}.parquet" for c in champion.columns if c.source != "request"}
    files = _files(data, f"{names.cached(folder.cache, data)}/")
    version = LineageArtifact(name=names.version(run_.model, run_.version), sha256=champion.sha256)
    made = completed(
        f"batch.{run_.model}",
        inputs=[version, *(files.artifact(n) for n in sorted({*recipes.training(business).READS, *views}))],
        outputs=[LineageArtifact(name=names.answers(run_.model, run_.id), sha256=answered)],
        facts={"rows": str(run_.rows)},
        began=began,
        business_time=run_.business_time,
    )
    return [*spool.kept(data / spool.NAME), *made]


@cache
def _files(data: Path, prefix: str) -> spool.Files:
    """A job makes many runs over the same files."""
    return spool.Files(data, prefix)


def matrix(data: Path, columns: Sequence[Column], asks: Sequence[Ask], when: datetime) -> NDArray[np.float32]:
    """Input rows float32 [N, F] in the order of the columns; NaN where nobody knows."""
    from archlab_features.offline import as_of

    made = np.full((len(asks), len(columns)), np.nan, dtype=np.float32)
    views = {c.source for c in columns} - {"request"}
    stores = {name: as_of(data, name, when) for name in sorted(views)}
    for index, column in enumerate(columns):
        if column.source == "request":
            made[:, index] = [ask.columns.get(column.name, math.nan) for ask in asks]
        else:
            store = stores[column.source]
            made[:, index] = [store.value(ask.keys.get(store.join_key, ""), column.name) for ask in asks]
    return made


def predict(path: Path, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Predictions [N] of an ONNX file with the contract of docs/interfaces.md."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    found: NDArray[np.float32] = session.run(["prediction"], {"features": rows})[0]
    return found.reshape(-1)


def write(
    path: Path,
    card: ModelCard,
    asks: Sequence[Ask],
    answers: NDArray[np.float32],
    version: str,
    run_id: str,
    when: datetime,
) -> None:
    """Answers as Parquet: subject, table keys, prediction, model_version, run_id, business_time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = len(asks)
    columns: dict[str, Any] = {
        "subject": pa.array([ask.subject for ask in asks], pa.string()),
        **{key: pa.array([ask.keys[key] for ask in asks], pa.string()) for key in card.table_keys},
        "prediction": pa.array(answers, pa.float32()),
        "model_version": pa.array([version] * count, pa.string()),
        "run_id": pa.array([run_id] * count, pa.string()),
        "business_time": pa.array([when] * count, pa.timestamp("us", tz="UTC")),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    pq.write_table(pa.table(columns), part, compression="zstd")
    part.replace(path)


def table(
    card: ModelCard, asks: Sequence[Ask], answers: NDArray[np.float32], run_: BatchRun, source: str
) -> dict[str, Any]:
    """The look-up table of docs/interfaces.md; NaN answers become null."""
    rows = {
        "|".join(ask.keys[key] for key in card.table_keys): None if math.isnan(answer) else float(answer)
        for ask, answer in zip(asks, answers, strict=True)
    }
    return {
        "format": "archlab/table/v1",
        "model": run_.model,
        "version": run_.version,
        "run": run_.id,
        "keys": list(card.table_keys),
        "business_time": run_.business_time.isoformat(),
        "rows": rows,
        "source_sha256": source,
    }


def usage(model: Model, finished: BatchRun) -> Usage:
    """What one production-size run takes, as the scenario declares it: modelled."""
    return Usage(
        id=f"batch/{finished.id}",
        start=finished.business_time,
        end=finished.business_time,
        team=model.team,
        model=model.name,
        mode="batch",
        unit=finished.id,
        resource=Resource.BATCH_CPU,
        kind=UsageKind.CONSUMED,
        quantity=model.batch_cpu_millicore_seconds,
        basis=Basis.MODELLED,
        purchase=model.batch_purchase,
    )


if __name__ == "__main__":
    jobs.main(run)
