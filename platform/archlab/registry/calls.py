"""What a request to MLflow means: pure functions from method and path to a kind of call.

MLflow serves each endpoint under `/api` and `/ajax-api`, in versions 2.0 and 3.0, with and without the static prefix
for artifacts. They are all the same call here. Whatever changes something and is not known is `OTHER`, which no rule
covers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl, urlencode

from archlab.errors import UserError
from archlab.registry import STATIC_PREFIX

HEALTH = f"{STATIC_PREFIX}/health"
READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Kind(Enum):
    """What a call does, as far as the gate cares."""

    READ = auto()
    TRACKING_WRITE = auto()
    """Experiments, runs, logged models, traces and their artifacts."""
    CREATE_EXPERIMENT = auto()
    TAG_EXPERIMENT = auto()
    CREATE_MODEL = auto()
    RENAME_MODEL = auto()
    UPDATE_MODEL = auto()
    DELETE_MODEL = auto()
    TAG_MODEL = auto()
    UNTAG_MODEL = auto()
    SET_ALIAS = auto()
    DELETE_ALIAS = auto()
    CREATE_VERSION = auto()
    UPDATE_VERSION = auto()
    DELETE_VERSION = auto()
    TAG_VERSION = auto()
    UNTAG_VERSION = auto()
    TRANSITION = auto()
    DELETE_RUN = auto()
    DELETE_EXPERIMENT = auto()
    DELETE_LOGGED_MODEL = auto()
    DELETE_FILES = auto()
    OTHER = auto()
    """Changes something that this registry does not offer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, classified; `path` is the canonical path that MLflow is given."""

    method: str
    path: str
    kind: Kind


REGISTRY_CALLS = {
    ("POST", "registered-models/create"): Kind.CREATE_MODEL,
    ("POST", "registered-models/rename"): Kind.RENAME_MODEL,
    ("PATCH", "registered-models/update"): Kind.UPDATE_MODEL,
    ("DELETE", "registered-models/delete"): Kind.DELETE_MODEL,
    ("POST", "registered-models/set-tag"): Kind.TAG_MODEL,
    ("DELETE", "registered-models/delete-tag"): Kind.UNTAG_MODEL,
    ("POST", "registered-models/alias"): Kind.SET_ALIAS,
    ("DELETE", "registered-models/alias"): Kind.DELETE_ALIAS,
    ("POST", "model-versions/create"): Kind.CREATE_VERSION,
    ("PATCH", "model-versions/update"): Kind.UPDATE_VERSION,
    ("DELETE", "model-versions/delete"): Kind.DELETE_VERSION,
    ("POST", "model-versions/set-tag"): Kind.TAG_VERSION,
    ("DELETE", "model-versions/delete-tag"): Kind.UNTAG_VERSION,
    ("POST", "model-versions/transition-stage"): Kind.TRANSITION,
}

TRACKING_REMOVALS = {
    ("POST", "runs/delete"): Kind.DELETE_RUN,
    ("POST", "experiments/delete"): Kind.DELETE_EXPERIMENT,
}

EXPERIMENT_CALLS = {
    ("POST", "experiments/create"): Kind.CREATE_EXPERIMENT,
    ("POST", "experiments/set-experiment-tag"): Kind.TAG_EXPERIMENT,
    ("POST", "experiments/delete-experiment-tag"): Kind.TAG_EXPERIMENT,
}

TRACKING_WRITES = frozenset({Kind.TRACKING_WRITE, Kind.CREATE_EXPERIMENT, Kind.TAG_EXPERIMENT})

SOURCE_REMOVALS = frozenset({Kind.DELETE_RUN, Kind.DELETE_EXPERIMENT, Kind.DELETE_LOGGED_MODEL, Kind.DELETE_FILES})
"""Calls that take away what registered versions may come from."""

READING_POSTS = frozenset(
    {
        "artifacts/presigned-download-url",
        "datasets/search",
        "experiments/search",
        "experiments/search-datasets",
        "issues/search",
        "logged-models/search",
        "registered-models/get-latest-versions",
        "runs/search",
        "traces/batchGetInfos",
        "traces/calculate-filter-correlation",
        "traces/metrics",
        "traces/search",
        "ui-telemetry",
    }
)

TRACKING = re.compile(r"(experiments|runs|logged-models|traces|datasets|upload-artifact)(/|$)")

LOGGED_MODEL = re.compile(r"logged-models/[^/]+")

_ENDPOINT = re.compile(r"/(?:ajax-)?api/\d+\.\d+/(?P<service>mlflow|mlflow-artifacts)/(?P<rest>.+)")


def with_page(query: bytes, token: str) -> bytes:
    """A query that asks for the page of that token."""
    kept = [(n, v) for n, v in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if n != "page_token"]
    return urlencode([*kept, ("page_token", token)]).encode()


def canonical_path(path: str) -> str:
    """The path without doubled and trailing slashes; the UI's root keeps its slash.

    Raises:
        UserError: it has `.` or `..` segments, backslashes or control characters.
    """
    segments = [segment for segment in path.split("/") if segment]
    if {".", ".."} & set(segments) or re.search(r"[\x00-\x1f\\]", path):
        raise UserError("The path has parts that mean nothing here.", "Send it without `..`, backslashes and controls.")
    plain = "/" + "/".join(segments)
    return f"{plain}/" if plain == STATIC_PREFIX else plain


def classify(method: str, path: str) -> Call:
    """What a request with an already decoded path does.

    Raises:
        UserError: as `canonical_path`.
    """
    plain = canonical_path(path)
    return Call(method, plain, _kind(method, plain.removeprefix(STATIC_PREFIX)))


def _kind(method: str, path: str) -> Kind:
    if method in READING_METHODS:
        return Kind.READ
    if path == "/graphql":
        return Kind.READ  # MLflow's schema has searches and an echo, nothing that writes.
    found = _ENDPOINT.fullmatch(path)
    if found is None:
        return Kind.OTHER
    service, rest = found["service"], found["rest"]
    if service == "mlflow-artifacts":
        return _artifacts(method, rest)
    if method == "POST" and rest in READING_POSTS:
        return Kind.READ
    for known in (REGISTRY_CALLS, TRACKING_REMOVALS, EXPERIMENT_CALLS):
        if kind := known.get((method, rest)):
            return kind
    if method == "DELETE" and LOGGED_MODEL.fullmatch(rest):
        return Kind.DELETE_LOGGED_MODEL
    return Kind.TRACKING_WRITE if TRACKING.match(rest) else Kind.OTHER


def _artifacts(method: str, rest: str) -> Kind:
    if not rest.startswith(("artifacts/", "mpu/")):
        return Kind.OTHER
    return Kind.DELETE_FILES if method == "DELETE" else Kind.TRACKING_WRITE
