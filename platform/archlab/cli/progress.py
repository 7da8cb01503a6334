"""Progress on a terminal: a spinner with the step at hand, a line for each finished step; plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType

from rich.markup import escape

from archlab.cli.console import err


class Steps:
    """Use as a context manager; call it with (step, detail). Each thread is at one step: its next one ends the last."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._open: dict[int, Step] = {}
        self._status = err.status(title) if err.is_terminal else None
        self._lock = threading.Lock()

    def __enter__(self) -> Steps:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status:
            self._status.stop()
        with self._lock:
            for step in self._open.values():
                _end(step, ok=kind is None)

    def __call__(self, step: str, detail: str) -> None:
        """Note that this thread is at `detail` of `step`."""
        with self._lock:
            now = self._open.get(threading.get_ident())
            if now is None or now.name != step:
                if now is not None:
                    _end(now, ok=True)
                if not err.is_terminal:
                    err.print(f"… {escape(step)} {escape(detail)}".rstrip())
                now = Step(step, time.monotonic())
            self._open[threading.get_ident()] = replace(now, detail=detail)
            if self._status:
                at = " · ".join(f"{escape(s.name)} [dim]{escape(s.detail)}[/]" for s in self._open.values())
                self._status.update(f"{self._title} [dim]{self.seconds:.0f} s[/]  {at}")

    @property
    def seconds(self) -> float:
        """Since the block began."""
        return time.monotonic() - self._started


@dataclass(frozen=True, slots=True)
class Step:
    """What a thread is at."""

    name: str
    started: float
    detail: str = ""


def _end(step: Step, *, ok: bool) -> None:
    if err.is_terminal:
        mark = "[green]✓[/]" if ok else "[red]✗[/]"
        err.print(f"{mark} {escape(step.name)} [dim]{time.monotonic() - step.started:.1f} s[/]")
