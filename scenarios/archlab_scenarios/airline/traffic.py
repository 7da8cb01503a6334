"""Requests of one real business day, written ahead so that the load generator only sends bytes.

`python -m archlab_scenarios.airline.traffic` reads ARCHLAB_LAB (a lab's folder) and prints the path of
`load/requests.json`: per model its team, its share of the traffic and up to 400 request bodies.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from archlab.errors import ArchlabError, LabStateError
from archlab.files import write_atomic
from archlab.lab import Lab
from archlab.lab.asking import request_body
from archlab.lab.work import clock
from archlab.settings import LabFolder
from archlab.spec.business import Ask, Business
from archlab.spec.scenario import Model, Scenario
from archlab.world.calling import Question

BODIES = 400
DAY = timedelta(days=1)


def business_day(scenario: Scenario, now: datetime) -> datetime:
    """Start of the business day that the clock stands in: days count from the scenario's start."""
    return scenario.starts + (now - scenario.starts) // DAY * DAY


def model_traffic(business: Business, data: Path, model: Model, start: datetime) -> dict[str, Any] | None:
    """One model's share and bodies on the day from `start`; None when nobody asks."""
    asks = business.asks(data, model.name, model.caller, start, start + DAY)
    if not asks:
        return None
    step = max(1, len(asks) // BODIES)
    return {
        "name": model.name,
        "team": model.team,
        "weight": len(asks) * model.caller.represents,
        "bodies": [json.dumps(_body(model, ask), separators=(",", ":")) for ask in asks[::step][:BODIES]],
    }


def _body(model: Model, ask: Ask) -> dict[str, Any]:
    """With the id that replay gives to the same question, so that its answers find their labels."""
    return {**request_body(ask), "id": Question(model, ask).id}


def write(lab: Lab) -> Path:
    """Write the requests of the present business day, unless they are there already."""
    from archlab.pipelines.data import data_folder

    scenario = lab.scenario
    start = business_day(scenario, clock(lab))
    path = lab.folder.root / "load" / "requests.json"
    wanted = {"format": "archlab/load/v2", "day": start.isoformat(), "seed": lab.identity.seed}
    if path.exists() and {k: v for k, v in json.loads(path.read_text()).items() if k != "models"} == wanted:
        return path
    data = data_folder(lab.folder.cache, scenario.business)
    models = [made for m in scenario.models if (made := model_traffic(lab.business, data, m, start))]
    write_atomic(path, json.dumps({**wanted, "models": models}))
    return path


def main() -> None:
    """Entry point of the helper process."""
    try:
        folder = LabFolder.from_environment()
        if not folder.identity.exists():
            raise LabStateError(f"{folder.root} is no lab.", "Make one with: archlab up ten-models")
        sys.stdout.write(f"{write(Lab(folder))}\n")
    except ArchlabError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
