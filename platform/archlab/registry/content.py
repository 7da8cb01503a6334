"""What the lab's folder says about models: which team owns each, which columns callers can bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archlab.plan.access import Access
from archlab.settings import LabFolder
from archlab.spec.access import Grant, RestrictedView


class LabContent:
    """Reads `scenario.json` and `known_columns.json`, again when they change."""

    def __init__(self, folder: LabFolder) -> None:
        self._scenario = _File(folder.scenario)
        self._known = _File(folder.root / "known_columns.json")
        self._access: tuple[dict[str, Any], Access] | None = None

    def team(self, model: str) -> str:
        """The team that the scenario gives a model to; empty for a model it does not know."""
        models = self._scenario.content().get("models", [])
        return next((str(found["team"]) for found in models if found.get("name") == model), "")

    def access(self) -> Access:
        """What teams may use of each other's, as the scenario has it with the grants since."""
        scenario, known = self._scenario.content(), self._access
        if known is None or known[0] is not scenario:
            known = self._access = (scenario, self._compiled(scenario))
        return known[1]

    @staticmethod
    def _compiled(scenario: dict[str, Any]) -> Access:
        return Access(
            owners={str(m["name"]): str(m["team"]) for m in scenario.get("models", [])},
            views=tuple(RestrictedView.model_validate(view) for view in scenario.get("views", [])),
            grants=tuple(Grant.model_validate(grant) for grant in scenario.get("grants", [])),
        )

    def restricted_views(self) -> dict[str, dict[str, list[str]]] | None:
        """Restricted views with the teams that may use them; None when the scenario does not say."""
        return self.access().restricted() if "views" in self._scenario.content() else None

    def served_views(self) -> list[str] | None:
        """Feature views that the scenario keeps online; None when it does not say."""
        features = self._scenario.content().get("features")
        return [str(found.get("view")) for found in features] if isinstance(features, list) else None

    def known_at_request(self, model: str) -> list[str] | None:
        """Columns that callers of a model can bring; None when nobody said."""
        found = self._known.content().get(model)
        return [str(name) for name in found] if isinstance(found, list) else None


class _File:
    """A JSON object in a file, read when its modification time changes; empty while it can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._content: dict[str, Any] = {}

    def content(self) -> dict[str, Any]:
        try:
            status = self._path.stat()
        except OSError:
            self._stamp, self._content = (0, 0), {}
            return self._content
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            try:
                found = json.loads(self._path.read_bytes())
            except ValueError:
                found = {}
            self._stamp, self._content = stamp, found if isinstance(found, dict) else {}
        return self._content
