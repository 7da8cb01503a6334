"""The gradebook for other programs: one flat record per line, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from archlab.spec.gradebook import Entry, ExamFinished

COLUMNS = (
    "sequence", "wall_time", "entry", "exam", "question", "answer", "verdict", "points", "possible", "seed", "evidence",
    "grader_version", "hash",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def records(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """A record per line; a finished exam has one per question."""
    return [record for entry in entries for record in _records(entry)]


def as_json(entries: Sequence[Entry]) -> str:
    """The records as a JSON list."""
    return json.dumps(records(entries), indent=2, ensure_ascii=False) + "\n"


def as_csv(entries: Sequence[Entry]) -> str:
    """The records as CSV (RFC 4180); a text that a spreadsheet would take for a formula gets a leading apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for record in records(entries):
        writer.writerow([_cell(record[name]) for name in COLUMNS])
    return text.getvalue()


def _records(entry: Entry) -> list[dict[str, Any]]:
    facts = entry.model_dump(mode="json")
    shared = {**dict.fromkeys(COLUMNS), **{k: v for k, v in facts.items() if k in COLUMNS}}
    shared["entry"] = facts["format"].split("/")[1]
    shared["seed"] = facts.get("variant", {}).get("seed")
    if isinstance(entry, ExamFinished):
        return [{**shared, **{k: v for k, v in mark.items() if k in COLUMNS}} for mark in facts["marks"]]
    return [shared]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        value = ",".join(str(v) for v in value)
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
