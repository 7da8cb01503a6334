"""Batch runs of the tiny world, said like `archlab.pipelines.batch` says them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from archlab import jobs
from archlab.settings import LabFolder
from archlab.unixhttp import control
from tiny_world import BUSINESS, scenario


def run(arguments: list[str]) -> dict[str, Any]:
    for word in arguments:
        model, _, at = word.partition("@")
        jobs.emit({"finished": score(model, at)})
    return {"runs": len(arguments)}


def score(model: str, at: str) -> dict[str, Any]:
    when = datetime.fromisoformat(at)
    champion = control(LabFolder.from_environment(), "GET", f"/champions/{model}")
    asks = BUSINESS.batch_asks(Path(), model, scenario().model(model).caller, when)
    identifier = f"{model}-{when:%H%M}"
    same = {"model": model, "version": champion["version"], "business_time": at}
    usage = {
        "id": f"batch/{identifier}",
        "start": at,
        "end": at,
        "team": "operations",
        "model": model,
        "mode": "batch",
        "unit": identifier,
        "resource": "batch_cpu",
        "kind": "consumed",
        "quantity": 1000,
        "basis": "modelled",
    }
    rows = {ask.keys["flight"]: 100.0 + ask.columns["distance"] for ask in asks}
    table = {"format": "archlab/table/v1", "run": identifier, "keys": ["flight"], "rows": rows, **same}
    return {
        "run": {"id": identifier, "rows": len(rows), "path": f"batch/{identifier}.parquet", **same},
        "table": {**table, "source_sha256": champion["sha256"]},
        "usage": [usage],
    }


if __name__ == "__main__":
    jobs.main(run)
