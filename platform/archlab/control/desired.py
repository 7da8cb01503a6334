"""The desired state that control goes by: scenario and plan, read again when their files change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from archlab.errors import LabStateError
from archlab.settings import LabFolder
from archlab.spec.base import Spec
from archlab.spec.plan import Plan
from archlab.spec.scenario import Scenario

S = TypeVar("S", bound=Spec)


class Watched(Generic[S]):
    """One spec in a file."""

    def __init__(self, path: Path, kind: type[S]) -> None:
        self._path = path
        self._kind = kind
        self._seen: tuple[tuple[int, int, int], S] | None = None

    def value(self) -> S:
        """The spec as it stands in the file now.

        Raises:
            LabStateError: the file is missing or unreadable.
        """
        try:
            stat = self._path.stat()
            mark = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if self._seen is None or self._seen[0] != mark:
                self._seen = (mark, self._kind.model_validate_json(self._path.read_bytes()))
        except FileNotFoundError:
            raise LabStateError(f"The lab has no {self._path.name} yet.", "Bring it up with: archlab up") from None
        except ValidationError as error:
            fault = json.loads(error.json(include_url=False))[0]
            raise LabStateError(
                f"{self._path.name} can't be read: {fault['loc']}: {fault['msg']}.", "Write it anew with: archlab up"
            ) from None
        return self._seen[1]


class Desired:
    """What should be: the resolved scenario and the plan."""

    def __init__(self, folder: LabFolder) -> None:
        self._scenario = Watched(folder.scenario, Scenario)
        self._plan = Watched(folder.plan, Plan)

    @property
    def scenario(self) -> Scenario:
        """Variant and overrides applied."""
        return self._scenario.value()

    @property
    def plan(self) -> Plan:
        """The last plan applied."""
        return self._plan.value()
