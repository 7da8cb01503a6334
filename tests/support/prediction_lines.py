"""Prediction logs as servers write them, and the database that control fills from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from archlab.control.predictions import KEPT, Predictions
from archlab.control.store import Store

MODEL = "departure-delay"
ASKED, ASKED_US = "2013-12-02T09:00:00Z", 1385974800_000_000
KEYS: dict[str, tuple[str, ...]] = {MODEL: ("flight_id",), "airport-congestion": ("origin", "slot")}


def line(number: int, subject: str | None = None, *, shadow: bool = False, **changed: Any) -> str:
    """One request as the servers log it."""
    record: dict[str, Any] = {
        "t": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.5Z",
        "request_id": f"{MODEL}/{subject or f'F{number}'}/{ASKED}",
        "model": MODEL,
        "version": "2" if shadow else "1",
        "release": f"{MODEL}:1",
        "snapshot": 1,
        "keys": {},
        "prediction": [0.5 if shadow else 0.25],
        "us": 100,
        "shadow": shadow,
        "correlation_id": f"c{number}",
        "status": 200,
    }
    return json.dumps(record | changed, separators=(",", ":")) + "\n"


class Kept:
    """A database with the logs that fill it."""

    def __init__(self, root: Path, kept: int = KEPT) -> None:
        self.logs, self.path, self.control = root / "logs", root / "predictions.db", root / "control.db"
        self.logs.mkdir(exist_ok=True)
        Store(self.control).close()
        self.predictions = Predictions(self.path, self.logs, lambda model: KEYS.get(model, ()), kept)

    def append(self, *lines: str, log: str = "online-0.jsonl") -> None:
        with (self.logs / log).open("a") as file:
            file.write("".join(lines))

    def take_in(self) -> None:
        while self.predictions.take_in():
            pass

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.predictions.read(self.control) as db:
            return [tuple(row) for row in db.execute(query)]

    @property
    def series(self) -> dict[tuple[str, int], tuple[Any, ...]]:
        query = "SELECT version, shadow, requests, errors, pairs, abs_difference FROM series"
        return {(v, s): (r, e, p, d) for v, s, r, e, p, d in self.ask(query)}
