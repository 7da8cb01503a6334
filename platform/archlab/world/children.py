"""Child processes of a replay: the materialiser and batch jobs. They say one JSON object per line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

from archlab.errors import ArchlabError

LINE_LIMIT_BYTES = 64 << 20
"""A batch run's result line carries its whole table."""


class ChildError(ArchlabError):
    """A child process failed; carries what it said."""


class Child:
    """A running `python -m MODULE ARGS` whose standard error goes where ours goes."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._module = module

    @classmethod
    async def start(cls, module: str, *args: str) -> Child:
        """Start it; it inherits the environment, ARCHLAB_LAB with it."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *args, stdout=asyncio.subprocess.PIPE, limit=LINE_LIMIT_BYTES
        )
        return cls(process, module)

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """What it says, object by object, until it ends.

        Raises:
            ChildError: it reported an error or ended with another code than 0.
        """
        stdout = self._process.stdout
        assert stdout is not None
        async for line in stdout:
            said = _object(line)
            if "error" in said:
                raise ChildError(str(said["error"]), str(said.get("remedy", "")))
            yield said
        if code := await self._process.wait():
            raise ChildError(f"{self._module} ended with code {code}.", "The job's log has its last words.")

    async def result(self) -> dict[str, Any]:
        """Its result line.

        Raises:
            ChildError: it failed, or ended without one.
        """
        found: dict[str, Any] | None = None
        async for said in self.lines():
            found = said.get("result", found)
        if found is None:
            raise ChildError(f"{self._module} ended without a result.", "The job's log has its last words.")
        return found

    async def stop(self) -> None:
        """End it if it still runs."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


class Crowd:
    """Children that are stopped together."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def start(self, module: str, *args: str) -> Child:
        """Start one more."""
        child = await Child.start(module, *args)
        self._children.append(child)
        return child

    async def stop(self) -> None:
        """End all that still run."""
        for child in self._children:
            await child.stop()


def _object(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
