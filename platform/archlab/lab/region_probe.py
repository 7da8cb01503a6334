"""Tries everything that callers want of a lab in two regions, as it stands, and keeps what was seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from archlab.errors import ArchlabError
from archlab.lab import region_journal, regional
from archlab.lab.asking import ask, example
from archlab.lab.lab import Lab
from archlab.spec.outages import Probe
from archlab.spec.plan import Progress
from archlab.spec.region_facts import RegionProbe

READ, WRITE, SCORE = "registry-read", "registry-write", "score"
"""Keys of what is tried beside the models, whose keys are their names."""

TIMES = 5
WRITE_S = 3.0
"""So long a write may wait for the other region."""
TAG = "archlab.probed"

Attempt = tuple[str, str, Callable[[], object]]
"""Key, what it is in words, and how."""


def probe(lab: Lab, progress: Progress) -> RegionProbe:
    """Ask every model, read and write the registry, read the score; `TIMES` each.

    Raises:
        UserError: the lab runs in one place.
        LabStateError: nothing of it answers.
    """
    pair, attempts = regional.regions(lab), tuple(_attempts(lab))
    down = tuple(seen.region for seen in regional.pair(lab).standing() if seen.fenced)
    at = datetime.now(UTC)
    tried = tuple(_try(one, progress) for one in attempts)
    seen = RegionProbe(at=at, down=down, state=regional.state(lab), posture=pair, probes=tried)
    region_journal.note_probe(lab, seen)
    return seen


def _attempts(lab: Lab) -> Iterator[Attempt]:
    for model in lab.scenario.models:
        asking = partial(ask, lab, model.name, example(lab, model.name, []))
        yield model.name, f"{model.name} asked through the gateway", asking
    first = lab.scenario.models[0].name
    read = f"/registered-models/get?name={first}"
    tag = {"name": first, "key": TAG, "value": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"}
    yield READ, f"{first} read from the registry", partial(lab.registry().get, read, timeout_s=WRITE_S)
    write = partial(lab.registry().post, "/registered-models/set-tag", tag, timeout_s=WRITE_S)
    yield WRITE, f"a tag of {first} written into the registry", write
    yield SCORE, "the score read from control", partial(lab.control.get, "/score")


def _try(attempt: Attempt, progress: Progress) -> Probe:
    key, what, act = attempt
    progress("try", what)
    succeeded, said = 0, "answered"
    for _ in range(TIMES):
        try:
            act()
            succeeded += 1
        except ArchlabError as error:
            said = f"{type(error).__name__}: {error.message}"[:200]
    return Probe(key=key, tried=TIMES, succeeded=succeeded, detail=f"{what}: {said}")
