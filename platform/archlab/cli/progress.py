"""Progress on a terminal: a spinner with the step at hand, a line for each finished step; plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.markup import escape

from archlab.cli.console import err


class Steps:
    """Use as a context manager; call it with (step, detail). Safe from several threads."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = time.monotonic()
        self._open: dict[str, tuple[float, str]] = {}
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
            for step, (started, _) in self._open.items():
                self._line(step, started, "[green]✓[/]" if kind is None else "[red]✗[/]")

    def __call__(self, step: str, detail: str) -> None:
        """Note that `step` is at `detail`; a new step from the same source closes nothing, steps end with the block."""
        with self._lock:
            if step not in self._open:
                if len(self._open) >= 3:
                    oldest = next(iter(self._open))
                    self._line(oldest, self._open.pop(oldest)[0], "[green]✓[/]")
                if not err.is_terminal:
                    err.print(f"… {escape(step)} {escape(detail)}".rstrip())
            started = self._open.get(step, (time.monotonic(), ""))[0]
            self._open.pop(step, None)
            self._open[step] = (started, detail)
            if self._status:
                shown = " · ".join(f"{escape(s)} [dim]{escape(d)}[/]" for s, (_, d) in self._open.items())
                self._status.update(f"{self._title} [dim]{time.monotonic() - self._started:.0f} s[/]  {shown}")

    @property
    def seconds(self) -> float:
        """Since the block began."""
        return time.monotonic() - self._started

    def _line(self, step: str, started: float, mark: str) -> None:
        if err.is_terminal:
            err.print(f"{mark} {escape(step)} [dim]{time.monotonic() - started:.1f} s[/]")
