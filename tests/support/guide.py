"""The commands of the guides to Kubernetes."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
GUIDE, LABS, STATE = (DOCS / f"{name}.md" for name in ("kubernetes", "kubernetes-labs", "kubernetes-state"))
UP = "archlab up ten-models --target kube --port 30080 --gateway http://127.0.0.1:8080"
"""Ports of a kind or minikube cluster made by the guide."""
STARTS = ("kubectl ", "helm ", "archlab ", "NODE=", "kind ", "minikube ")


def commands(guide: Path) -> list[str]:
    """Every command of a guide, in order."""
    lines = (line.strip() for line in guide.read_text().splitlines() if line.startswith("    "))
    return [line for line in lines if line.startswith(STARTS)]
