"""kubectl, as a learner would use it to look behind the scenes."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from ran import note

NAME = os.environ.get("ARCHLAB_TEST_LAB", "kube-lab")
"""Of the lab and its namespace: test runs that share a cluster take different ones."""


def kubectl(*arguments: str, stdin: str = "", namespace: str = NAME) -> str:
    """kubectl's output."""
    command = ["kubectl", "--namespace", namespace, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    note(("kubectl", "-n", namespace, *arguments), NAME)
    return done.stdout


def objects(kind: str, *arguments: str) -> list[dict[str, Any]]:
    """Objects of a kind in the lab's namespace."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", kind, "--output", "json", *arguments))["items"]
    return found
