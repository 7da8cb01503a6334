"""What control reads of the registry: aliases, versions, ONNX files (MLflow's REST API)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from archlab.addresses import Address
from archlab.errors import ArchlabError, NotFoundError, UnavailableError
from archlab.lineage.facts import Origin
from archlab.unixhttp import get

PREFIX = "/mlflow"
API = f"{PREFIX}/api/2.0/mlflow"
FILE, SIGNATURE = "model.onnx", "model.sig"
ALIASES = ("champion", "challenger")


@dataclass(frozen=True, slots=True)
class Registered:
    """One registered version, as far as a release needs it."""

    model: str
    version: str
    tags: dict[str, str]


class Registry:
    """Reader of the registry.

    Args:
        at: where it listens.
        token: makes a bearer token of the platform.
    """

    def __init__(self, at: Address, token: Callable[[], str]) -> None:
        self._at = at
        self._token = token

    def aliases(self) -> dict[str, dict[str, str]]:
        """Version per alias per model, for the aliases that are served."""
        found: dict[str, dict[str, str]] = {}
        page = ""
        while True:
            query = urlencode({"max_results": 100, **({"page_token": page} if page else {})})
            answer = self._json(f"{API}/registered-models/search?{query}")
            for model in answer.get("registered_models", []):
                known = {a["alias"]: str(a["version"]) for a in model.get("aliases", [])}
                found[model["name"]] = {a: v for a, v in known.items() if a in ALIASES}
            if not (page := answer.get("next_page_token", "")):
                return found

    def version(self, model: str, version: str) -> Registered:
        """One version and its tags.

        Raises:
            NotFoundError: the registry has none of that number.
        """
        query = urlencode({"name": model, "version": version})
        answer = self._json(f"{API}/model-versions/get?{query}")["model_version"]
        tags = {t["key"]: t["value"] for t in answer.get("tags", [])}
        return Registered(model, str(answer["version"]), tags)

    def origin(self, model: str, version: str) -> Origin:
        """A version's tags and the tags of its run.

        Raises:
            NotFoundError: the registry has no version of that number.
        """
        query = urlencode({"name": model, "version": version})
        found = self._json(f"{API}/model-versions/get?{query}")["model_version"]
        tags, run = {t["key"]: t["value"] for t in found.get("tags", [])}, str(found.get("run_id", ""))
        try:
            data = self._json(f"{API}/runs/get?{urlencode({'run_id': run})}")["run"]["data"] if run else None
        except NotFoundError:
            data = None
        return Origin(tags, run, None if data is None else {t["key"]: t["value"] for t in data.get("tags", [])})

    def file(self, model: str, version: str, name: str = FILE) -> bytes:
        """One of the version's files, its model.onnx by default.

        Raises:
            NotFoundError: it has none of that name.
        """
        query = urlencode({"name": model, "version": version, "path": name})
        status, body = self._get(f"{PREFIX}/model-versions/get-artifact?{query}", timeout_s=30)
        if status != 200:
            raise NotFoundError(f"The registry hands over no {name} of {model} version {version} (HTTP {status}).")
        return body

    def signature(self, model: str, version: str) -> str:
        """The version's model.sig; empty when it has none."""
        try:
            return self.file(model, version, SIGNATURE).decode(errors="replace")
        except NotFoundError:
            return ""

    def _json(self, target: str) -> dict[str, Any]:
        status, body = self._get(target, timeout_s=10)
        if status == 404:
            raise NotFoundError(f"The registry answers 404 to {target}.")
        if status >= 500:
            raise UnavailableError(f"The registry answers {status} to {target}.", "See: archlab logs registry")
        if status != 200:
            raise ArchlabError(f"The registry answers {status} to {target}: {body[:300].decode(errors='replace')}")
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    def _get(self, target: str, *, timeout_s: float) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self._token()}"}
        return get(self._at, target, headers, timeout_s=timeout_s)
