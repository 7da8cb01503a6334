"""The commands of docs/kubernetes.md."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "kubernetes.md"
LAB = "## 9. A lab"
STARTS = ("kubectl ", "helm ", "archlab ", "NODE=", "kind ", "minikube ")


def commands() -> list[str]:
    """Every command, in order."""
    return _commands(GUIDE.read_text())


def commands_of(heading: str) -> list[str]:
    """Those of one section."""
    _, found, rest = GUIDE.read_text().partition(f"\n{heading}\n")
    assert found, heading
    return _commands(rest.partition("\n## ")[0])


def _commands(text: str) -> list[str]:
    lines = (line.strip() for line in text.splitlines() if line.startswith("    "))
    return [line for line in lines if line.startswith(STARTS)]
