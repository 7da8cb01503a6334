"""The small scenario of docs/authoring.md, built from its code blocks."""

from __future__ import annotations

import re
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "authoring.md"
RECORDED = Path(__file__).parent / "two_models_recorded"
"""What live labs of that scenario showed: `archlab scenarios check two-models --record`."""

_BLOCK = re.compile(r"^```\w+ (?P<file>\S+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> dict[str, str]:
    """Every block that names a file."""
    return {found["file"]: found["text"] for found in _BLOCK.finditer(GUIDE.read_text())}


def build(root: Path) -> Path:
    """Write the scenario below a folder of scenarios; its own folder."""
    folder = root / "two_models"
    for name, text in blocks().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
