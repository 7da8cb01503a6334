"""The helm program against one cluster: what a release is, and how it comes and goes."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from archlab.errors import ArchlabError, TargetError, UserError
from archlab.settings import data_root

MARGIN_S = 30
"""How much longer than helm's own time limit the program may take."""


@dataclass(frozen=True, slots=True)
class Release:
    """A release that helm knows."""

    name: str
    namespace: str
    revision: int
    status: str
    """`deployed`, `failed`, `pending-install`, …"""
    chart: str
    values: dict[str, Any]
    """Those that differ from the chart's."""


def chart(name: str) -> Path:
    """Folder of a chart that ships with archlab."""
    return data_root("helm") / name


class Helm:
    """Runs helm.

    Args:
        context: the kubeconfig's context; its current one when None.

    Raises:
        UserError: there is no helm program.
    """

    def __init__(self, context: str | None = None) -> None:
        program = shutil.which("helm")
        if program is None:
            raise UserError("There is no helm program on PATH.", "Install it: https://helm.sh/docs/intro/install")
        self._command = [program, *(["--kube-context", context] if context else [])]

    def upgrade(
        self, release: str, folder: Path, namespace: str, values: Sequence[dict[str, Any]], *, timeout_s: int = 120
    ) -> None:
        """Install the release, or bring it to these values (later ones win), and wait until its pods are ready.

        Raises:
            TargetError: helm gave up; carries its last lines.
        """
        merged: dict[str, Any] = {}
        for more in values:
            merged = _merge(merged, more)
        wait = ["--wait", "--timeout", f"{timeout_s}s", "--values", "-"]
        command = ["upgrade", "--install", release, str(folder), "--namespace", namespace, "--create-namespace"]
        self._run([*command, *wait], timeout_s=timeout_s, document=yaml.safe_dump(merged))

    def uninstall(self, release: str, namespace: str, *, timeout_s: int = 120) -> None:
        """Take a release away and wait until it is gone; one that is not there is none.

        Raises:
            TargetError: helm gave up.
        """
        command = ["uninstall", release, "--namespace", namespace, "--ignore-not-found", "--wait"]
        self._run([*command, "--timeout", f"{timeout_s}s"], timeout_s=timeout_s)

    def releases(self, name: str) -> list[Release]:
        """The releases of that name, in whatever namespace and state."""
        listed = json.loads(
            self._run(["list", "--all-namespaces", "--all", "--filter", f"^{name}$", "--output", "json"])
        )
        return [self._release(found) for found in listed]

    def template(self, release: str, folder: Path, namespace: str, values: dict[str, Any]) -> str:
        """What the release's manifests would be, without asking the cluster.

        Raises:
            TargetError: the chart can't be rendered with these values.
        """
        command = ["template", release, str(folder), "--namespace", namespace, "--kube-version", "1.34"]
        return self._run([*command, "--values", "-"], document=yaml.safe_dump(values))

    def _release(self, found: dict[str, Any]) -> Release:
        name, namespace = found["name"], found["namespace"]
        values = json.loads(self._run(["get", "values", name, "--namespace", namespace, "--output", "json"]))
        return Release(name, namespace, int(found["revision"]), found["status"], found["chart"], values or {})

    def _run(self, arguments: Sequence[str], *, timeout_s: int = 60, document: str | None = None) -> str:
        try:
            done = subprocess.run(
                [*self._command, *arguments],
                input=document,
                capture_output=True,
                text=True,
                timeout=timeout_s + MARGIN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ArchlabError(f"helm {arguments[0]} did not end within {timeout_s + MARGIN_S} s.") from None
        if done.returncode != 0:
            raise _error(arguments[0], done.stderr)
        return done.stdout


def _error(command: str, output: str) -> ArchlabError:
    lines = tuple(line for line in output.strip().splitlines() if line.strip())
    text = " ".join(line.removeprefix("Error: ").strip() for line in lines) or "it gave no reason"
    if "Kubernetes cluster unreachable" in text:
        return UserError(f"The cluster does not answer: {text}", "See which one is meant: kubectl cluster-info")
    if "don't meet the specifications of the schema" in text:
        return UserError(f"The values are not the chart's: {text}", "They are described in its values.schema.json.")
    return TargetError(f"helm {command} failed: {text}", log_tail=lines[-5:])


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As helm merges several files of values: maps are merged, everything else is replaced."""
    merged = dict(under)
    for name, value in over.items():
        held = merged.get(name)
        merged[name] = _merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged
