"""What a request to MLflow is about: pure functions from a call and its parameters to models, experiments, runs, files.

A list of what there is for teams. Whatever is not in it (traces, GraphQL, prompts, what a new MLflow adds) is for those
who look after the platform: nobody could say whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import parse_qsl

from archlab.errors import UserError
from archlab.registry import STATIC_PREFIX
from archlab.registry.calls import Call

Values = Mapping[str, tuple[str, ...]]
"""Everything that query and body say, by field; snake case."""


class What(Enum):
    """Kinds of things that belong to a team."""

    MODEL = auto()
    EXPERIMENT = auto()
    """By id."""
    EXPERIMENT_NAME = auto()
    RUN = auto()
    LOGGED_MODEL = auto()
    FILES = auto()
    """A path below the artifact store's root."""


class Listing(Enum):
    """Answers that name things of many teams; each team is shown its own."""

    MODELS = "registered_models"
    VERSIONS = "model_versions"
    EXPERIMENTS = "experiments"


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them."""

    what: What
    name: str

    @property
    def kind(self) -> str:
        """What it is called."""
        return _SAID[self.what]

    def __str__(self) -> str:
        """For people."""
        return f"{self.kind} {self.name}"


_SAID = {
    What.MODEL: "model",
    What.EXPERIMENT: "experiment",
    What.EXPERIMENT_NAME: "experiment",
    What.RUN: "run",
    What.LOGGED_MODEL: "logged model",
    What.FILES: "folder",
}

_MODEL = (What.MODEL, ("name",))
_EXPERIMENT = (What.EXPERIMENT, ("experiment_id",))
_RUN = (What.RUN, ("run_id", "run_uuid"))
_EXPERIMENTS = (What.EXPERIMENT, ("experiment_ids",))
_OF_RUNS = (
    *("runs/get", "runs/update", "runs/delete", "runs/restore", "runs/log-metric", "runs/log-parameter"),
    *("runs/log-batch", "runs/log-model", "runs/log-inputs", "runs/outputs", "runs/set-tag", "runs/delete-tag"),
    *("artifacts/list", "metrics/get-history", "metrics/get-history-bulk", "get-artifact", "upload-artifact"),
)
_BY_FIELD: dict[str, tuple[What, tuple[str, ...]]] = {
    "registered-models/get": _MODEL,
    "registered-models/get-latest-versions": _MODEL,
    "registered-models/alias": _MODEL,
    "model-versions/get": _MODEL,
    "model-versions/get-download-uri": _MODEL,
    "model-versions/get-artifact": _MODEL,
    "experiments/get": _EXPERIMENT,
    "experiments/get-by-name": (What.EXPERIMENT_NAME, ("experiment_name",)),
    "experiments/update": _EXPERIMENT,
    "experiments/restore": _EXPERIMENT,
    "experiments/delete": _EXPERIMENT,
    "experiments/set-experiment-tag": _EXPERIMENT,
    "experiments/delete-experiment-tag": _EXPERIMENT,
    "experiments/search-datasets": _EXPERIMENTS,
    "runs/create": _EXPERIMENT,
    "runs/search": _EXPERIMENTS,
    "logged-models": _EXPERIMENT,
    "logged-models/search": _EXPERIMENTS,
    **dict.fromkeys(_OF_RUNS, _RUN),
    "metrics/get-history-bulk-interval": (What.RUN, ("run_ids", "run_id")),
}
_OPEN = re.compile(r"/|/health|/version|/static-files/.*|/(?:ajax-)?api/\d+\.\d+/mlflow/(?:server-info|ui-telemetry)")
_API = re.compile(r"/(?:ajax-)?api/\d+\.\d+/(mlflow|mlflow-artifacts)/(.+)")
_LISTINGS = {
    "registered-models/search": Listing.MODELS,
    "model-versions/search": Listing.VERSIONS,
    "experiments/search": Listing.EXPERIMENTS,
}
DEFAULT_EXPERIMENT = "0"
MOST_FIELDS = 1000


def values(query: str, body: Mapping[str, Any]) -> Values:
    """Fields of query and body together: MLflow reads one or the other, depending on the call.

    Raises:
        UserError: there are more than anybody sends.
    """
    found: dict[str, tuple[str, ...]] = {}
    try:
        asked = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise UserError(f"The query has more than {MOST_FIELDS} fields.", "Ask for less at once.") from None
    for name, value in [*asked, *body.items()]:
        plain = re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name)
        found[plain] = (*found.get(plain, ()), *_texts(value))
    return found


def _texts(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    if isinstance(value, list):
        return tuple(text for one in value for text in _texts(one))
    return (str(value),)


def is_open(call: Call) -> bool:
    """Whether a call shows nothing that belongs to anybody: the interface's own files, the version."""
    return _OPEN.fullmatch(call.path.removeprefix(STATIC_PREFIX)) is not None


def listing(call: Call) -> Listing | None:
    """Which listing a call asks for."""
    return _LISTINGS.get(endpoint(call))


def things(call: Call, said: Values) -> list[Thing] | None:
    """What a call is about, each of which has to be the asker's; None when it is nothing that teams have.

    Raises:
        UserError: it does not say which.
    """
    path = endpoint(call)
    if _service(call) == "mlflow-artifacts":
        return _stored(path, said)
    if path in _BY_FIELD:
        what, fields = _BY_FIELD[path]
        default = (DEFAULT_EXPERIMENT,) if path in ("runs/create", "logged-models") else ()
        about = [Thing(what, name) for name in _named(said, fields, default)]
        return about + [Thing(What.RUN, run) for run in said.get("source_run_id", ())]
    if found := re.fullmatch(r"logged-models/([^/]+)(/.*)?", path):
        return [Thing(What.LOGGED_MODEL, found[1])]
    return None


def is_streamed(call: Call) -> bool:
    """Whether a call's body is a file, which nobody reads here."""
    return _service(call) == "mlflow-artifacts" or endpoint(call) == "upload-artifact"


def _stored(path: str, said: Values) -> list[Thing] | None:
    """Of the artifact store's own calls; uploads in parts and presigned addresses are not for teams."""
    if found := re.fullmatch(r"artifacts/(.+)", path):
        return [_files(found[1])]
    return [_files(one) for one in _named(said, ("path",))] if path == "artifacts" else None


def _files(path: str) -> Thing:
    """A folder or file of the store.

    Raises:
        UserError: the path leads somewhere else than it seems to.
    """
    if "\\" in path or "%" in path or {".", ".."} & set(path.split("/")):
        raise UserError(f"The path {path!r} means nothing here.", "Name a folder below an experiment's.")
    return Thing(What.FILES, path.strip("/"))


def _named(said: Values, fields: tuple[str, ...], default: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = tuple(value for name in fields for value in said.get(name, ())) or default
    if not found:
        raise UserError(f"The request does not say which: its field {fields[0]!r} is missing.")
    return found


def endpoint(call: Call) -> str:
    """The call's path below its service."""
    plain = call.path.removeprefix(STATIC_PREFIX)
    found = _API.fullmatch(plain)
    return found[2] if found else plain.removeprefix("/")


def _service(call: Call) -> str:
    found = _API.fullmatch(call.path.removeprefix(STATIC_PREFIX))
    return found[1] if found else ""
