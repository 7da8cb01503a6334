"""The helm program: find it, install or upgrade a release, take it away; also after a helm that was killed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archlab.errors import TargetError, UserError
from archlab.spec.lab import KubePlace
from archlab.targets.kube.api import Api

VARIABLE = "ARCHLAB_HELM"
TIMEOUT_S = 180
KUBERNETES = "1.34"
"""What charts are rendered for where no cluster is asked."""
PENDING = ("pending-install", "pending-upgrade", "pending-rollback", "uninstalling")


def helm_program() -> str:
    """Path of the helm program.

    Raises:
        UserError: there is none.
    """
    named = os.environ.get(VARIABLE) or "helm"
    if found := shutil.which(named):
        return found
    raise UserError(
        f"The kube target needs the program helm (version 3 or later); {named!r} is not on the path.",
        f"Install it from helm.sh, or name it in {VARIABLE}.",
    )


@dataclass(frozen=True, slots=True)
class Release:
    """One release in the lab's namespace."""

    place: KubePlace
    name: str
    api: Api

    def upgrade(self, chart: Path, values: dict[str, Any], *, more: Path | None = None) -> None:
        """Install or upgrade; returns when the objects are with the API, not when pods are ready.

        Args:
            chart: its folder.
            values: of the plan.
            more: a file of further values, which win; left out when it isn't there.

        Raises:
            TargetError: helm refuses the values, or the API refuses an object; helm's own words.
        """
        self._unlock()
        further = ("--values", str(more)) if more is not None and more.is_file() else ()
        arguments = ("upgrade", self.name, str(chart), "--install", "--history-max", "5", "--values", "-", *further)
        done = self._run(*arguments, stdin=json.dumps(values))
        if done.returncode:
            raise _failure("install", done)

    def values(self) -> dict[str, Any]:
        """What it was last brought to, the chart's defaults left out; empty when there is none."""
        done = self._run("get", "values", self.name, "--output", "json")
        found = json.loads(done.stdout or "null") if done.returncode == 0 else None
        return found if isinstance(found, dict) else {}

    def uninstall(self) -> None:
        """Take the release's objects away; harmless when there is none."""
        self._unlock()
        done = self._run("uninstall", self.name, "--ignore-not-found", "--wait=false")
        if done.returncode:
            raise _failure("uninstall", done)

    def _unlock(self) -> None:
        """Forget the record of an operation that was killed: helm would refuse every further one."""
        path = self.api.inside("secrets")
        for secret in self.api.items(path, labelSelector=f"owner=helm,name={self.name}"):
            if secret["metadata"]["labels"].get("status") in PENDING:
                self.api.delete(self.api.inside("secrets", secret["metadata"]["name"]))

    def _run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return _run(self.place, *arguments, "--namespace", self.place.namespace, stdin=stdin)


@dataclass(frozen=True, slots=True)
class Installed:
    """A release as helm lists it."""

    name: str
    namespace: str
    revision: int
    status: str
    """`deployed`, `failed`, `pending-install`, …"""
    chart: str


def installed(place: KubePlace, name: str) -> tuple[Installed, ...]:
    """The releases of that name, in whatever namespace and state.

    Raises:
        TargetError: helm can't list them; its own words.
    """
    done = _run(place, "list", "--all-namespaces", "--all", "--filter", f"^{name}$", "--output", "json")
    if done.returncode:
        raise _failure("list", done)
    return tuple(
        Installed(f["name"], f["namespace"], int(f["revision"]), f["status"], f["chart"])
        for f in json.loads(done.stdout)
    )


def template(chart: Path, name: str, namespace: str, values: dict[str, Any]) -> str:
    """What a release's manifests would be; no cluster is asked.

    Raises:
        TargetError: the chart can't be rendered with these values; helm's own words.
    """
    arguments = ("template", name, str(chart), "--namespace", namespace, "--kube-version", KUBERNETES, "--values", "-")
    done = _run(None, *arguments, stdin=json.dumps(values))
    if done.returncode:
        raise _failure("render", done)
    return done.stdout


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """As helm merges two files of values: maps are merged, everything else is replaced. Pure."""
    merged = dict(under)
    for name, value in over.items():
        held = merged.get(name)
        merged[name] = merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


def _run(place: KubePlace | None, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    where = ["--kubeconfig", place.kubeconfig] if place else []
    where += ["--kube-context", place.context] if place and place.context else []
    try:
        return subprocess.run(
            [helm_program(), *arguments, *where],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(
            f"helm {arguments[0]} did not end within {TIMEOUT_S} s.", "Run the command again.", unit="helm"
        ) from None


def _failure(what: str, done: subprocess.CompletedProcess[str]) -> TargetError:
    said = [line.strip(" \t*") for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
    said = [line for line in said if not line.endswith(" errors occurred:")] or [f"exit code {done.returncode}"]
    first = said[0].removeprefix("Error: ")
    return TargetError(
        f"helm can't {what} the release: {first}", "See: archlab status", unit="helm", log_tail=tuple(said[1:])
    )
