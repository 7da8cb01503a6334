"""kubectl for tests: what it prints, what it refuses, and waiting for a condition."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Kubectl:
    """Runs kubectl against the cluster that KUBECONFIG names."""

    def run(self, *arguments: str, document: object = None) -> subprocess.CompletedProcess[str]:
        """Whatever it ends with; a document goes in as JSON."""
        given = None if document is None else json.dumps(document)
        return subprocess.run(
            ["kubectl", *arguments], input=given, capture_output=True, text=True, timeout=120, check=False
        )

    def ok(self, *arguments: str, document: object = None) -> str:
        """Its output; a refusal fails the test."""
        done = self.run(*arguments, document=document)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def apply(self, namespace: str, *documents: dict[str, Any]) -> None:
        """Apply objects."""
        self.ok("-n", namespace, "apply", "-f", "-", document=listed(*documents))

    def get(self, *arguments: str) -> Any:
        """An object, or a list of them."""
        return json.loads(self.ok("get", *arguments, "-o", "json"))

    @contextmanager
    def namespace(self, **labels: str) -> Iterator[str]:
        """A namespace, deleted afterwards with all that is in it."""
        name = f"archlab-test-{secrets.token_hex(3)}"
        metadata = {"name": name, "labels": labels}
        self.ok("apply", "-f", "-", document={"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        try:
            until(lambda: self.run("-n", name, "get", "serviceaccount", "default").returncode == 0, "a service account")
            yield name
        finally:
            self.ok("delete", "namespace", name, "--wait=true", "--timeout=90s")


def listed(*documents: dict[str, Any]) -> dict[str, Any]:
    """Objects as one document."""
    return {"apiVersion": "v1", "kind": "List", "items": list(documents)}


def until(condition: Callable[[], object], what: str, timeout_s: float = 60) -> None:
    """Wait for a condition; fails the test when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout_s:.0f} s"
        time.sleep(0.2)
