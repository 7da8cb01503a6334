"""Names of jobs and datasets in lineage events. A file's name is its path below archlab's home or below the lab."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from archlab.spec.lineage import NodeKind

NAMESPACE = "archlab"
"""Of every job and dataset that the platform itself reports."""


class Part(NamedTuple):
    """How a dataset's name begins, what such a thing is called, and what its maker must have read."""

    prefix: str
    kind: NodeKind
    made_from: tuple[tuple[str, ...], ...]
    """One of the prefixes of each group has to be among the inputs of the run that made it."""
    maker: str
    """The command or step that makes it and reports it."""


SOURCE = "source/"
CACHE, DATA, VIEWS = "cache/", "cache/data/", "/views/"
TRAINING, MODELS, CANDIDATES = "cache/training/", "cache/models/", "cache/candidates/"
REGISTRY, RELEASES, TABLES, BATCH = "registry/", "releases/", "tables/", "batch/"
MANIFEST, SNAPSHOTS = "snapshots/manifest/", "snapshots/"

_DATA_STEP = "the step `data` of archlab up, after the folder cache/data was deleted"
_TRAIN_STEP = "training (archlab up, after the folder {} was deleted)"
PARTS: tuple[Part, ...] = (
    Part(TRAINING, "training set", ((DATA,),), _TRAIN_STEP.format("cache/training")),
    Part(MODELS, "model file", ((TRAINING,),), _TRAIN_STEP.format("cache/models")),
    Part(CANDIDATES, "model file", ((MODELS,),), "the registration of candidates (archlab.pipelines.candidates)"),
    Part(REGISTRY, "version", ((MODELS, CANDIDATES),), "the registration by the pipeline (archlab.pipelines.register)"),
    Part(RELEASES, "release", ((REGISTRY, TABLES),), "control, when it published the release"),
    Part(TABLES, "table", ((BATCH,),), "control, when it recorded the run (archlab batch run)"),
    Part(BATCH, "batch answers", ((REGISTRY,), (DATA,)), "a batch run (archlab batch run)"),
    Part(MANIFEST, "snapshot", ((SNAPSHOTS,),), "control, when it published the snapshot (archlab clock advance)"),
    Part(SNAPSHOTS, "view rows", ((DATA,),), "the materialisation (archlab up, archlab clock advance)"),
)
_VIEW = Part(DATA, "view history", ((DATA,),), _DATA_STEP)
_TYPED = Part(DATA, "typed data", ((SOURCE,),), _DATA_STEP)
_SOURCE = Part(SOURCE, "source file", (), "")
_FOREIGN = Part("", "dataset", (), "whoever reported the run that read it")


def part(name: str) -> Part:
    """What a dataset is, by its name."""
    if name.startswith(SOURCE):
        return _SOURCE
    if name.startswith(DATA):
        return _VIEW if VIEWS in name else _TYPED
    return next((each for each in PARTS if name.startswith(each.prefix)), _FOREIGN)


def source(business: str, name: str) -> str:
    """A file that the business's data is read from."""
    return f"{SOURCE}{business}/{name}"


def cached(cache: Path, path: Path) -> str:
    """A file of the cache that labs share."""
    return f"{CACHE}{path.relative_to(cache).as_posix()}"


def version(model: str, number: str) -> str:
    """A registered version."""
    return f"{REGISTRY}{model}/{number}"


def alias(model: str, name: str) -> str:
    """What an alias of a registered model stands for."""
    return f"{REGISTRY}{model}@{name}"


def release(identifier: str) -> str:
    """What servers are told to load."""
    return f"{RELEASES}{identifier}"


def table(model: str, run: str) -> str:
    """The look-up table of a batch run."""
    return f"{TABLES}{model}/{run}"


def answers(model: str, run: str) -> str:
    """The answers of a batch run, a file below the lab."""
    return f"{BATCH}{model}/{run}.parquet"


def snapshot(sequence: int) -> str:
    """A manifest of online features."""
    return f"{MANIFEST}{sequence}"


def view_rows(view: str) -> str:
    """One view's online rows."""
    return f"{SNAPSHOTS}{view}"
